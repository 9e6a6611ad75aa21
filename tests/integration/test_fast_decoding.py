"""A profile that decodes large JPEG photos at a part of their size, behind its gate."""

import shutil
import subprocess
import sys

import httpx
import pytest

from pipelines.fast_decoding import FastDecoding, facts_hash
from pipelines.load import load_spec
from pipelines.release import Release
from tests.integration.service import NAMES, ROOT, environment, free_ports, running
from tests.photos import encoded, photo

LARGE = photo(1, 1792, 1344)


@pytest.fixture
def repository(oral_cancer, tmp_path):
    """A repository of its own, without a record of the gate."""
    return shutil.copytree(oral_cancer.repository, tmp_path / "model_repository")


def pass_gate(oral_cancer, repository):
    """Writes the record that 500 photos would leave behind."""
    release = Release.current("oral_cancer", "default", repository)
    spec = load_spec("oral_cancer", oral_cancer.specs, "fast")
    artefacts = {name: release.artefact_sha256(name) for name in release.members}
    record = FastDecoding(
        photos=500,
        unchanged=0,
        agreement=1.0,
        difference=0.005,
        member_difference=0.01,
        artefacts=artefacts,
        facts=facts_hash(spec),
    )
    FastDecoding.path(spec, repository).write_text(record.model_dump_json())


def test_answers_say_fast_and_differ_for_large_jpegs_alone(oral_cancer, http, repository, tmp_path):
    pass_gate(oral_cancer, repository)
    places = ("--specs", str(oral_cancer.specs), "--pipelines", "oral_cancer")
    with running(repository, tmp_path, *places, "--profile", "fast") as fast:
        for format_, same in (("JPEG", False), ("PNG", True)):
            photo_ = {"file": encoded(LARGE, format_)}
            found = httpx.post(f"{fast.url}/api/v1/predict/advanced", files=photo_, timeout=60)
            expected = http.post("/api/v1/predict/advanced", files=photo_)
            assert found.status_code == expected.status_code == 200
            assert found.json()["preprocessing"] == "fast"
            assert expected.json()["preprocessing"] == "exact"
            difference = (
                found.json()["probabilities"]["cancer"] - expected.json()["probabilities"]["cancer"]
            )
            assert (abs(difference) < 1e-6) == same
            assert abs(difference) < 0.1


def test_without_the_gate_it_is_not_served_and_the_remedy_is_named(oral_cancer, repository):
    places = ["--specs", str(oral_cancer.specs), "--repository", str(repository)]
    ended = subprocess.run(
        [sys.executable, "-m", "server", *places, "--profile", "fast", "--pipelines=oral_cancer"],
        cwd=ROOT,
        env=environment(free_ports(len(NAMES))),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 1
    message = " ".join(ended.stderr.split())
    assert "fast_decoding-fast.json: missing" in message
    assert "python -m export.fast_decoding oral_cancer --profile fast" in message
    assert "Traceback" not in ended.stderr
