"""The lab starts a real service, asks it, knows its processes, and runs commands against it."""

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil

from lab.load.http import upload
from lab.load.measurement import measure
from lab.service.service import DECISION, DECODE, GATEWAY, LAUNCHER, TRITON, Service
from tests import photos
from tests.integration.service import ROOT

PATH = "/api/v1/pipelines/oral_cancer/predict"
ASK = """
import sys, urllib.request
from pipelines.ports import Ports

ready = f"http://127.0.0.1:{Ports().gateway_port}/readyz?pipeline=oral_cancer"
print(urllib.request.urlopen(ready, timeout=30).status)
sys.exit(7)
"""


def test_a_service_of_its_own_answers_and_is_measured(oral_cancer, tmp_path):
    requests = [upload(PATH, [photos.encoded(photos.photo(seed), "JPEG")]) for seed in range(4)]
    service = Service(
        ["oral_cancer"],
        oral_cancer.repository,
        log=tmp_path / "service.log",
        environment={"GATEWAY_MAX_IN_FLIGHT": "2"},
    )
    with service:
        few = measure(service, requests, concurrency=2, seconds=0, fewest=8)
        many = measure(service, requests, concurrency=8, seconds=0, fewest=8)
    roles = {GATEWAY, TRITON, DECODE, DECISION, LAUNCHER, "vgg16", "regnet"}
    assert (few.requests, few.refused, few.errors) == (8, 0, {})
    assert set(few.pss_mib) == set(few.cpu_seconds) == roles
    assert few.pss_mib["vgg16"] > 50
    assert few.cpu_seconds["vgg16"] > 0
    assert many.refused > 0, "more callers than may be in flight"
    assert not many.errors


def serving(repository: Path) -> set[int]:
    """Process ids of what serves a repository."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(repository) in process.cmdline():
                found.add(process.pid)
    return found


def run(repository: Path, log: Path, program: str) -> subprocess.CompletedProcess[str]:
    options = [f"--repository={repository}", f"--log={log}"]
    return subprocess.run(
        [sys.executable, "-m", "lab.service", *options, "--", sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_command_finds_the_service_and_its_status_is_the_outcome(oral_cancer, tmp_path):
    log = tmp_path / "service.log"
    # The service that other tests share may serve the same repository.
    before = serving(oral_cancer.repository)
    ended = run(oral_cancer.repository, log, ASK)
    assert (ended.returncode, ended.stdout) == (7, "200\n"), ended.stderr
    assert serving(oral_cancer.repository) <= before


def test_without_weights_it_ends_with_the_log_of_the_service(tmp_path):
    (tmp_path / "repository").mkdir()
    ended = run(tmp_path / "repository", tmp_path / "service.log", "print('ran')")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "error: python -m server does not get ready; its log:" in ended.stderr
    assert "oral_cancer" in ended.stderr
    assert "Traceback" not in ended.stderr
