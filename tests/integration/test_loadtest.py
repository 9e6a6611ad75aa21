"""`python -m loadtest run` against a real service: each kind of user is answered right."""

import json
import os
import subprocess
import sys

import yaml

from loadtest.budgets import BUDGETS
from tests.integration.service import ROOT

KINDS = {
    "screening_clinic",
    "integration_engine",
    "batch_client",
    "grpc_client",
    "random_arrivals",
}


def test_all_users_are_answered_right_and_none_is_lost(service, tmp_path):
    service.wait_ready()
    document = yaml.safe_load(BUDGETS.read_text("utf-8"))
    for budget in document["users"].values():
        # How fast it is, is not asked here.
        budget["p99_ratio"] = 1e6
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text(yaml.safe_dump(document), "utf-8")
    command = [sys.executable, "-m", "loadtest", "run", "--seconds=6", f"--out={tmp_path}"]
    command += [f"--url={service.url}", f"--grpc={service.gateway_address}"]
    run = subprocess.run(
        [*command, f"--budgets={budgets}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "LOADTEST" not in name},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["users"].keys() == KINDS
    for kind, user in summary["users"].items():
        assert user["begun"] == user["answered"] > 0, kind
        assert user["lost_studies"] == 0, kind
    assert (tmp_path / "loadtest.html").stat().st_size > 0
    assert "grpc_client" in (tmp_path / "loadtest_stats.csv").read_text("utf-8")
