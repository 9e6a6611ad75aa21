"""The gateway with limits and the one without an audit log, as the bench starts and asks them."""

import asyncio
import sys

import pytest

from database.engine import open_engine
from gateway.core.request import Image, RequestParameters
from gateway.errors import Code, RefusedError
from gateway.identity.principal import OPEN
from gateway.identity.stored_keys import KeyReader
from gateway.telemetry.recorder import Outcome, RequestContext
from lab.bench.bare_gateway import Unaccounted
from lab.bench.contender import Place
from lab.bench.second_opinion import second_opinion
from lab.bench.workload import WORKLOADS
from lab.load.http import upload
from pipelines.load import load_spec


@pytest.fixture
def launched(tmp_path):
    def launched(name):
        (contender,) = (each for each in second_opinion() if each.name == name)
        run = tmp_path / name
        place = Place(plan=tmp_path, repository=tmp_path, run=run, temporary=tmp_path)
        return contender.deployments[0].launch(place)

    return launched


def test_a_caller_with_limits_sends_a_key_that_has_them(launched):
    launch = launched("gateway-limited")
    assert launch.environment["GATEWAY_AUTH"] == "required"
    assert "--gateway" in launch.argv
    engine = open_engine(launch.environment["GATEWAY_DATABASE_URL"])
    _, (key,) = KeyReader(engine).all()
    engine.dispose()
    assert launch.headers["X-API-Key"].startswith(f"so_{key.id}_")
    assert (key.grant.rate, key.grant.budget) == ("100000/s", "100000EUR/month")
    request = upload("/predict", [b"photo"], headers=launch.headers)
    assert f"X-API-Key: {launch.headers['X-API-Key']}\r\n".encode() in request.split(b"\r\n\r\n")[0]


def test_the_gateway_without_an_audit_log_runs_beside_a_service_without_one(launched):
    launch, whole = launched("gateway-bare"), launched("gateway")
    assert launch.argv[:3] == (sys.executable, "-m", "lab.bench.bare_gateway")
    assert "--gateway" not in launch.argv
    assert "--gateway" in whole.argv
    assert launch.argv[3:6] == whole.argv[:3]


def test_each_pipeline_is_served_by_its_own_service_and_asked_by_its_name():
    by_name = {each.name: each for each in second_opinion()}
    served = [each.workloads for each in by_name["gateway"].deployments]
    assert ("heavy", "light") in served
    assert {("snakes",), ("polyps",), ("objects",), ("lesions",)} <= set(served)
    assert by_name["triton"].ask(WORKLOADS["objects"])[0] == "object_detection"
    path, _ = by_name["gateway"].ask(WORKLOADS["lesions"])
    assert path == "/api/v1/pipelines/cervical_lesions/predict"


def test_the_default_profile_is_asked_for_the_same_checkpoint_as_torchscript():
    (contender,) = (each for each in second_opinion() if each.name == "gateway-torchscript")
    path, _ = contender.ask(WORKLOADS["light"])
    assert path.endswith("?member=regnet")
    assert "regnet" in load_spec("oral_cancer").members
    path, _ = contender.ask(WORKLOADS["heavy"])
    assert path.endswith("/predict")


def test_without_an_audit_log_outcomes_have_a_receipt_of_no_row():
    refusal = RefusedError(Code.IMAGE_EMPTY, "file: empty.")
    outcome = Outcome(OPEN, "oral_cancer", Image(b"", "file"), RequestParameters({}), refusal)
    context = RequestContext("1")
    # It needs neither a writer nor a key.
    log = object.__new__(Unaccounted)
    (found,) = asyncio.run(log.account(context, [outcome]))
    log.refused(context)
    assert found.account.receipt.chain == "none"
    assert (found.result, context.accounted) == (refusal, True)
