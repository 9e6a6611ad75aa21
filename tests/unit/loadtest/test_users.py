"""Locust in a process of its own, against a service that answers as it is told."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from loadtest.__main__ import ROOT
from loadtest.budgets import BUDGETS
from tests.processes import child
from tests.unit.loadtest.toy_service import BUSY, PIPELINE

# Right answers to the photos, and one kind's questions to the unloaded service.
LEARNT = 6 + 10
COMMAND = (sys.executable, "-m", "loadtest")


@pytest.fixture
def load(toy, tmp_path):
    def start(*kinds, seconds=3, rate=4, **options):
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [*COMMAND, "run", f"--url={toy.url}", *words]
        command += [f"--seconds={seconds}", f"--rate={rate}", "--users=1"]
        command += [f"--out={tmp_path / 'out'}", *kinds]
        return child(
            command,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if "LOADTEST" not in name},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def run(*kinds, **options):
        with start(*kinds, **options) as process:
            _, errors = process.communicate(timeout=90)
        return process.returncode, errors

    run.start = start
    run.summary = lambda: json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    return run


def generous(tmp_path, **bounds):
    document = yaml.safe_load(BUDGETS.read_text("utf-8"))
    for budget in document["users"].values():
        budget.update({"p99_ratio": 1e6, "shed_share": 1} | bounds)
    file = tmp_path / "budgets.yaml"
    file.write_text(yaml.safe_dump(document), "utf-8")
    return file


def test_an_engine_loses_nothing_to_a_busy_service(toy, load, tmp_path):
    toy.after = LEARNT
    toy.script = [(429, BUSY, {"Retry-After": "0"}), (503, {}, {})] * 3
    status, errors = load("IntegrationEngine", budgets=generous(tmp_path))
    assert status == 0, errors
    user = load.summary()["users"]["integration_engine"]
    assert user["begun"] == user["answered"] >= 3
    assert (user["refused"], user["lost_studies"], user["wrong"]) == (3, 0, 0)
    assert user["attempts"] == user["begun"] + 6
    results = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"loadtest.html", "loadtest_stats.csv", "summary.json"} <= results


def test_a_wrong_answer_breaks_the_budget_and_is_named(toy, load, tmp_path):
    toy.after = LEARNT
    toy.script = [(200, {"pipeline": PIPELINE, "prediction": "healthy", "confidence": 0.9}, {})]
    status, errors = load("RandomArrivals", budgets=generous(tmp_path))
    assert status == 1
    assert "BROKEN  random_arrivals: error_rate" in errors
    (breach,) = load.summary()["breaches"]
    assert (breach["subject"], breach["budget"], breach["bound"]) == (
        "random_arrivals", "error_rate", 0,
    )  # fmt: skip


def test_users_of_an_open_loop_do_not_wait_for_answers(toy, load, tmp_path):
    # No answer comes before six are there.
    toy.after, toy.gate = LEARNT, 6
    status, errors = load("IntegrationEngine", budgets=generous(tmp_path))
    assert status == 0, errors
    assert load.summary()["users"]["integration_engine"]["answered"] >= 6


def test_ctrl_c_lets_what_is_under_way_end_and_judges(toy, load, tmp_path):
    toy.after = LEARNT
    with load.start("IntegrationEngine", budgets=generous(tmp_path), seconds=600) as process:
        give_up = time.monotonic() + 60
        while toy.asked < LEARNT + 3:
            assert time.monotonic() < give_up, "no user sent anything"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    user = load.summary()["users"]["integration_engine"]
    assert (user["begun"], user["lost_studies"]) == (user["answered"], 0)


def test_a_load_that_is_terminated_leaves_nothing_running(toy, load, tmp_path):
    toy.after = LEARNT
    with load.start("IntegrationEngine", budgets=generous(tmp_path), seconds=600) as process:
        give_up = time.monotonic() + 60
        while toy.asked < LEARNT + 3:
            assert time.monotonic() < give_up, "no user sent anything"
            time.sleep(0.05)
        below = psutil.Process(process.pid).children(recursive=True)
        assert below
        process.terminate()
        process.communicate(timeout=60)
        _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive


@pytest.mark.parametrize("command", [(*COMMAND, "run"), (sys.executable, "-m", "lab.overload")])
def test_another_machine_is_refused(command, tmp_path):
    answer = subprocess.run(
        [*command, "--url=http://192.0.2.1:8080", f"--out={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: 192.0.2.1: is not this machine.")


def test_a_service_that_is_not_there_and_a_bad_budget_end_with_the_remedy(toy, load, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("users: {}\noverload: 3\n", "utf-8")
    status, errors = load("IntegrationEngine", budgets=bad)
    assert status == 2
    assert "bad.yaml: overload: " in errors
    toy.url = "http://127.0.0.1:1"
    status, errors = load("IntegrationEngine")
    assert status == 2
    assert "the service does not answer" in errors
    assert "Traceback" not in errors
