"""The statuses of the contract that need a busy, slow or absent Triton; bad_input has the rest."""

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from tests.integration.gateway import gateway
from tests.integration.service import NAMES, ROOT, environment, free_ports
from tests.integration.triton import infer_together

PREDICT = "/api/v1/predict"


def post_together(client: httpx.Client, count: int, file: bytes, path: str = PREDICT):
    """Each with a threshold of its own, so that none share a call to Triton."""
    answers: list[httpx.Response] = []

    def ask(number: int) -> None:
        threshold = {"threshold": 0.3 + number / 100}
        answers.append(client.post(path, params=threshold, files={"file": file}))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    if status in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1


def test_over_the_concurrency_limit_the_gateway_answers_429(oral_cancer, service):
    service.wait_ready()
    with gateway(service.triton_grpc, GATEWAY_MAX_IN_FLIGHT="2") as client:
        wait_ready(client)
        answers = post_together(client, 12, oral_cancer.files[0])
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        assert len(refused) < 12
        for answer in refused:
            assert_problem(answer, 429, "busy")
        assert client.post(PREDICT, files={"file": oral_cancer.files[0]}).status_code == 200


def test_an_absent_triton_is_503_and_not_ready(oral_cancer):
    (nobody,) = free_ports(1)
    with gateway(nobody) as client:
        assert_problem(
            client.post(PREDICT, files={"file": oral_cancer.files[0]}), 503, "unavailable"
        )
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


def test_a_deadline_that_passes_is_504(oral_cancer, service):
    service.wait_ready()
    with gateway(service.triton_grpc, GATEWAY_DEADLINE_SECONDS="0.05") as client:
        time.sleep(1)
        answer = client.post(PREDICT, files={"file": oral_cancer.files[0]})
        assert_problem(answer, 504, "deadline")


def test_a_full_queue_of_triton_is_429_and_its_timeout_504(oral_cancer, service, http):
    wait_ready(http, "tight")
    file = oral_cancer.files[0]
    messages: set[str] = set()

    def refusals() -> set[str]:
        """One burst more; who is refused, and why, is up to how fast this machine is."""
        outcomes = infer_together(triton, "tight", [(file, {})] * 16)
        messages.update(
            str(item) for item in outcomes if isinstance(item, InferenceServerException)
        )
        causes = ("maximum queue size", "timeout")
        return {cause for cause in causes if cause in " ".join(messages).lower()}

    with grpcclient.InferenceServerClient(service.grpc) as triton:
        await_all({"maximum queue size", "timeout"}, refusals)

    answers: list[httpx.Response] = []

    def statuses() -> set[int]:
        answers.extend(post_together(http, 16, file, "/api/v1/pipelines/tight/predict"))
        return {answer.status_code for answer in answers}

    await_all({200, 429, 504}, statuses)
    for answer in answers:
        if answer.status_code == 429:
            assert_problem(answer, 429, "busy")
        if answer.status_code == 504:
            assert_problem(answer, 504, "deadline")


def await_all(expected: set[Any], seen: Callable[[], set[Any]]) -> None:
    give_up = time.monotonic() + 60
    while (found := seen()) != expected:
        assert found < expected, f"not expected: {found - expected}"
        assert time.monotonic() < give_up, f"never seen: {expected - found}"


def test_callers_who_leave_and_deadlines_that_pass_harm_nobody(oral_cancer, service, http):
    # Cancelled inferences may crash this Triton; the gateway cancels none.
    service.wait_ready()
    before = service.metrics(service.server_metrics)
    path = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
    problems: list[str] = []

    def leave(port: int, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(10):
            body = rng.choice(oral_cancer.files)
            head = f"{path}Content-Length: {len(body)}\r\n\r\n"
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(head.encode() + body)
                time.sleep(rng.random() * 0.1)

    def be_late(client: httpx.Client) -> None:
        for _ in range(10):
            answer = client.post(PREDICT, files={"file": oral_cancer.files[0]})
            if answer.status_code not in {200, 429, 504}:
                problems.append(answer.text)

    with gateway(service.triton_grpc, GATEWAY_DEADLINE_SECONDS="0.3") as hasty:
        callers = [threading.Thread(target=leave, args=(service.gateway, n)) for n in range(6)]
        callers += [threading.Thread(target=be_late, args=(hasty,)) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert not problems
    give_up = time.monotonic() + 60
    while in_flight(http):
        assert time.monotonic() < give_up, "the gateway still holds places of callers who are gone"
        time.sleep(0.1)
    for file in oral_cancer.files[:8]:
        assert http.post(PREDICT, files={"file": file}).status_code == 200
    after = service.metrics(service.server_metrics)
    assert after["server_restarts_total"] == before["server_restarts_total"]


def in_flight(http: httpx.Client) -> float:
    name = 'gateway_requests_in_flight{pipeline="oral_cancer"}'
    lines = http.get("/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def test_keys_are_asked_for_where_callers_must_say_who_they_are(oral_cancer, service):
    service.wait_ready()
    with gateway(service.triton_grpc, GATEWAY_AUTH="required") as client:
        key = client.new_key("predict")
        wait_ready(client, key=key)
        post = {"files": {"file": oral_cancer.files[0]}}
        assert_problem(client.post(PREDICT, **post), 401, "unauthorized")
        wrong = client.post(PREDICT, headers={"X-API-Key": "guess"}, **post)
        assert_problem(wrong, 401, "unauthorized")
        assert client.post(PREDICT, headers={"X-API-Key": key}, **post).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_bind_beyond_loopback_is_refused_where_everyone_would_be_let_in():
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        cwd=ROOT,
        env=environment(free_ports(len(NAMES)), GATEWAY_HOST="0.0.0.0", GATEWAY_AUTH="off"),  # noqa: S104
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert "GATEWAY_AUTH=off" in ended.stderr
    assert "Traceback" not in ended.stderr


def wait_ready(client: httpx.Client, pipeline: str = "oral_cancer", key: str = "") -> None:
    give_up = time.monotonic() + 60
    headers = {"X-API-Key": key}
    while client.get(f"/readyz?pipeline={pipeline}", headers=headers).status_code != 200:
        assert time.monotonic() < give_up, client.get("/readyz").text
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["gateway_requests_total", "gateway_stage_seconds_bucket"])
def test_metrics_name_no_unknown_pipeline(http, name):
    http.post("/api/v1/pipelines/jane-doe/predict", files={"file": b"x"})
    text = http.get("/metrics").text
    assert name in text
    assert "jane-doe" not in text
