"""Killed processes come back in time; each failed request is a clean 503; no answer is wrong."""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

STUB_SECONDS = 15
SERVER_SECONDS = 30
PAUSE_SECONDS = 6
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written


@dataclass
class Load:
    """Three callers that ask without pause, and what they were told."""

    url: str
    files: list[bytes]
    answers: list[tuple[float, int, httpx.Response]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def __enter__(self):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(n,)) for n in range(3)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)

    def ask(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self.stop.is_set():
                index = number = (number + 3) % len(self.files)
                try:
                    answer = client.post("/api/v1/predict", files={"file": self.files[index]})
                except httpx.HTTPError as error:
                    self.errors.append(error)
                    continue
                self.answers.append((time.monotonic(), index, answer))
                if answer.status_code == 503:
                    self.stop.wait(0.2)

    def good_after(self, moment: float) -> float | None:
        """When the first good answer came after a moment, in seconds."""
        return next((t - moment for t, _, a in self.answers if t > moment and a.is_success), None)


def triton_process(service) -> psutil.Process:
    children = psutil.Process(service.process.pid).children(recursive=True)
    return next(child for child in children if child.name() == "tritonserver")


def stubs(service, model: str) -> list[psutil.Process]:
    children = triton_process(service).children(recursive=True)
    found = []
    for child in children:
        # A process that ended has no command line, though Triton keeps its entry.
        with contextlib.suppress(psutil.Error):
            words = child.cmdline()
            if words and words[0].endswith("triton_python_backend_stub"):
                found += [child] if Path(words[1]).parents[1].name == model else []
    return found


def gateway_process(service) -> psutil.Process:
    children = psutil.Process(service.process.pid).children()
    return next(child for child in children if child.cmdline()[-2:] == ["-m", "gateway"])


def regions(service) -> set[Path]:
    return set(SHARED_MEMORY.glob(f"second_opinion_{service.triton_grpc}_*"))


def check_answers(load: Load, oral_cancer) -> None:
    assert not load.errors, f"the gateway itself failed: {load.errors[:3]}"
    statuses = {answer.status_code for _, _, answer in load.answers}
    assert statuses <= {200, 503}
    for _, index, answer in load.answers:
        if answer.status_code == 200:
            found = list(answer.json()["probabilities"].values())
            expected = oral_cancer.opinions[index].probabilities
            assert found == pytest.approx(expected, abs=1e-4)
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "unavailable"
            assert int(answer.headers["retry-after"]) >= 1


def wait_until_answered(load: Load, moment: float, seconds: float) -> None:
    give_up = moment + seconds
    while load.good_after(moment) is None and time.monotonic() < give_up:
        time.sleep(0.1)


def restarts(service, model: str) -> float:
    """How often the launcher has replaced a process of a model."""
    name = f'server_stub_restarts_total{{model="{model}"}}'
    return service.metrics(service.server_metrics).get(name, 0)


@pytest.mark.parametrize("step", ["vgg16", "regnet", "decode", "decision"])
def test_a_killed_stub_is_healed(oral_cancer, service, step):
    service.wait_ready()
    model = f"oral_cancer_{step}"
    before = restarts(service, model)
    with Load(service.url, oral_cancer.files) as load:
        time.sleep(1)
        stubs(service, model)[0].kill()
        killed = time.monotonic()
        # HealthMonitor that were on their way may still come from before the kill took effect.
        time.sleep(0.5)
        wait_until_answered(load, killed + 0.5, STUB_SECONDS)
        assert load.good_after(killed + 0.5) is not None, service.tail()
        # A step of several processes answers at once; the dead one is replaced all the same.
        while restarts(service, model) == before and time.monotonic() < killed + STUB_SECONDS:
            time.sleep(0.2)
        assert restarts(service, model) == before + 1
        time.sleep(1)
    check_answers(load, oral_cancer)


def test_a_killed_tritonserver_comes_back(oral_cancer, service):
    service.wait_ready()
    before = service.metrics(service.server_metrics)["server_restarts_total"]
    with Load(service.url, oral_cancer.files) as load:
        time.sleep(1)
        killed_process = triton_process(service)
        killed_process.kill()
        killed = time.monotonic()
        time.sleep(1)
        wait_until_answered(load, killed + 1, SERVER_SECONDS)
        assert load.good_after(killed + 1) is not None, service.tail()
    check_answers(load, oral_cancer)
    assert any(answer.status_code == 503 for _, _, answer in load.answers)
    assert service.metrics(service.server_metrics)["server_restarts_total"] == before + 1
    assert triton_process(service).pid != killed_process.pid


def test_a_stub_that_hangs_is_replaced(oral_cancer, service, http):
    (stub,) = stubs(service, "oral_cancer_regnet")
    stub.suspend()
    give_up = time.monotonic() + 60
    while stub in stubs(service, "oral_cancer_regnet"):
        assert time.monotonic() < give_up, service.tail()
        time.sleep(0.5)
    photo = {"file": oral_cancer.files[0]}
    while (answer := http.post("/api/v1/predict", files=photo)).status_code != 200:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < give_up, service.tail()
        time.sleep(0.5)


def test_the_shared_memory_of_a_killed_stub_is_removed_and_only_its_user_may_read_it(
    oral_cancer, service, http
):
    (stub,) = stubs(service, "oral_cancer_regnet")
    region = SHARED_MEMORY / stub.cmdline()[2].removeprefix("/")
    before = regions(service)
    assert region in before
    assert {path.stat().st_mode & 0o777 for path in before} == {0o600}
    stub.kill()
    give_up = time.monotonic() + 30
    while region.exists() or stubs(service, "oral_cancer_regnet") == []:
        assert time.monotonic() < give_up, service.tail()
        time.sleep(0.2)
    photo = {"file": oral_cancer.files[0]}
    while http.post("/api/v1/predict", files=photo).status_code != 200:
        assert time.monotonic() < give_up, service.tail()
        time.sleep(0.2)
    assert len(regions(service)) == len(before)


def test_a_gateway_that_is_stopped_is_replaced(oral_cancer, service):
    service.wait_ready()
    stopped = gateway_process(service)
    stopped.suspend()
    _, left = psutil.wait_procs([stopped], timeout=30)
    assert not left, service.tail()
    service.wait_ready(60)
    assert gateway_process(service).pid != stopped.pid
    photo = {"file": oral_cancer.files[0]}
    assert httpx.post(f"{service.url}/api/v1/predict", files=photo, timeout=60).is_success


def test_after_a_pause_of_the_whole_service_it_answers_and_nothing_is_wrong(oral_cancer, service):
    service.wait_ready()
    with Load(service.url, oral_cancer.files) as load:
        time.sleep(1)
        processes = service.tree.processes()
        for process in processes:
            process.suspend()
        time.sleep(PAUSE_SECONDS)
        for process in processes:
            process.resume()
        resumed = time.monotonic()
        wait_until_answered(load, resumed, SERVER_SECONDS)
        assert load.good_after(resumed) is not None, service.tail()
        give_up = time.monotonic() + 10
        while "stood still for" not in service.log.read_text("utf-8"):
            assert time.monotonic() < give_up, service.tail()
            time.sleep(0.2)
    check_answers(load, oral_cancer)
