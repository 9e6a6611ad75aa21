"""Starting and stopping: refusals by name, drains, and nothing left behind."""

import ipaddress
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.service import NAMES, ROOT, environment, free_ports, running

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written


def regions() -> set[str]:
    return {path.name for path in SHARED_MEMORY.iterdir()}


def wait_until_all_is_loaded(service) -> None:
    """The service answers before its last pipeline is loaded, which adds regions."""
    give_up = time.monotonic() + 120
    while "Second Opinion is serving" not in service.log.read_text("utf-8"):
        assert time.monotonic() < give_up, service.tail()
        time.sleep(0.2)


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_stop_drains_and_leaves_nothing(oral_cancer, service, tmp_path, number):
    wait_until_all_is_loaded(service)
    others = regions()
    with running(oral_cancer.repository, tmp_path) as stopped:
        processes = family(stopped.process.pid)
        assert any(process.name() == "tritonserver" for process in processes)
        assert regions() > others
        answers: list[httpx.Response] = []

        def ask() -> None:
            url = f"{stopped.url}/api/v1/predict"
            answers.append(httpx.post(url, files={"file": oral_cancer.files[0]}, timeout=60))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        stopped.process.send_signal(number)
        for thread in threads:
            thread.join()
        assert stopped.process.wait(60) == 0, stopped.tail()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert gone(processes)
    assert regions() == others
    assert service.ready(), "the other service was touched"


def test_ready_means_that_every_pipeline_answers(oral_cancer, tmp_path):
    places = ("--specs", str(oral_cancer.specs), "--pipelines", "all")
    with running(oral_cancer.repository, tmp_path, *places, wait=False) as service:
        give_up = time.monotonic() + 120
        while not service.ready():
            assert time.monotonic() < give_up, service.tail()
            time.sleep(0.02)
        states = httpx.get(f"{service.url}/readyz", timeout=10).json()["pipelines"]
        assert states == {"oral_cancer": True, "tight": True}
        photo = {"file": oral_cancer.files[0]}
        answer = httpx.post(f"{service.url}/api/v1/predict", files=photo, timeout=60)
        assert answer.status_code == 200
        wait_until_all_is_loaded(service)


def test_a_killed_launcher_takes_its_processes_with_it(oral_cancer, service, tmp_path):
    with running(oral_cancer.repository, tmp_path) as killed:
        processes = family(killed.process.pid)
        killed.process.kill()
        killed.process.wait(10)
    assert gone(processes, 30)
    assert service.ready(), "the other service was touched"


def copy_of(oral_cancer, folder: Path) -> Path:
    return Path(shutil.copytree(oral_cancer.repository, folder / "model_repository"))


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_a_corrupt_artefact_is_reported_by_name_and_the_others_serve(oral_cancer, tmp_path):
    repository = copy_of(oral_cancer, tmp_path)
    corrupt = repository / "oral_cancer_regnet" / "1" / "model.pt"
    flip_a_byte(corrupt)
    places = ("--specs", str(oral_cancer.specs), "--pipelines", "all")
    with running(repository, tmp_path, *places) as service:
        log = service.log.read_text("utf-8")
        assert str(corrupt) in log
        assert "export" in log
        photo = {"files": {"file": oral_cancer.files[0]}}
        url = f"{service.url}/api/v1"
        give_up = time.monotonic() + 60
        while True:
            answer = httpx.post(f"{url}/pipelines/tight/predict", timeout=60, **photo)
            if answer.status_code != 504:  # its queue's patience is short, beside a probe too
                break
            assert time.monotonic() < give_up
        assert answer.status_code == 200
        assert httpx.post(f"{url}/predict", timeout=60, **photo).status_code in {404, 503}


def launch(repository: Path, *arguments: str, ports: list[int] | None = None):
    return subprocess.run(
        [sys.executable, "-m", "server", "--repository", str(repository), *arguments],
        cwd=ROOT,
        env=environment(ports or free_ports(len(NAMES))),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_a_version_without_a_manifest_is_not_served(oral_cancer, tmp_path):
    repository = copy_of(oral_cancer, tmp_path)
    (repository / "oral_cancer_vgg16" / "1" / "manifest.json").unlink()
    ended = launch(repository)
    assert ended.returncode == 1
    assert "oral_cancer_vgg16/1" in ended.stderr
    assert "manifest.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_config_of_another_number_is_refused_by_name_and_the_others_serve(oral_cancer, tmp_path):
    repository = copy_of(oral_cancer, tmp_path)
    edited = repository / "oral_cancer_decision" / "config.pbtxt"
    text = edited.read_text("utf-8")
    number = r"\"default\": 0.5" if r"\"default\": 0.5" in text else "max_batch_size: 16"
    assert number in text
    edited.write_text(text.replace(number, number[:-1] + "9"), "utf-8")
    places = ("--specs", str(oral_cancer.specs), "--pipelines", "all")
    with running(repository, tmp_path, *places) as service:
        log = service.log.read_text("utf-8")
        assert f"NOT SERVED  oral_cancer: {edited}: corrupt or replaced" in log
        assert "run `make configs`" in log
        assert httpx.get(f"{service.url}/api/v1/pipelines/tight", timeout=60).status_code == 200


def test_versions_that_no_release_names_are_left_alone(oral_cancer, service, http, tmp_path):
    """As a failure between two publishes leaves them."""
    photo = {"file": oral_cancer.files[0]}
    expected = http.post("/api/v1/predict", files=photo).raise_for_status().json()
    repository = copy_of(oral_cancer, tmp_path)
    versions = repository / "oral_cancer_regnet"
    shutil.copytree(versions / "1", versions / "2")
    with running(repository, tmp_path) as other:
        found = httpx.post(f"{other.url}/api/v1/predict", files=photo, timeout=60)
    answer = found.raise_for_status().json()
    assert answer["release"] == expected["release"]
    assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)


def test_swapped_classes_after_the_export_are_refused(oral_cancer, tmp_path):
    text = (oral_cancer.specs / "oral_cancer.yaml").read_text("utf-8")
    swapped = text.replace("[healthy, cancer]", "[cancer, healthy]")
    swapped = swapped.replace("positive: cancer", "positive: healthy")
    assert swapped != text
    (tmp_path / "oral_cancer.yaml").write_text(swapped, "utf-8")
    ended = launch(oral_cancer.repository, "--specs", str(tmp_path))
    assert ended.returncode == 1
    assert "export" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_empty_repository_names_the_remedy(tmp_path):
    ended = launch(tmp_path)
    assert ended.returncode == 1
    assert "python -m export" in ended.stderr


def test_a_taken_port_is_named_before_anything_starts(oral_cancer, service):
    ports = [service.gateway, service.gateway_grpc, service.triton_http, service.triton_grpc,
             service.triton_metrics, service.server_metrics]  # fmt: skip
    ended = launch(oral_cancer.repository, ports=ports)
    assert ended.returncode == 1
    assert str(service.triton_grpc) in ended.stderr
    assert "TRITON_GRPC_PORT" in ended.stderr
    assert service.ready()


def test_triton_listens_on_loopback_only(service):
    service.wait_ready()
    ours = {process.pid for process in family(service.process.pid)}
    listening = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in ours
    ]
    ports = {connection.laddr.port for connection in listening}
    gateway = {service.gateway, service.gateway_grpc}
    assert gateway | {service.triton_http, service.triton_grpc} <= ports
    addresses = {ipaddress.ip_address(connection.laddr.ip) for connection in listening}
    for address in addresses:
        assert (getattr(address, "ipv4_mapped", None) or address).is_loopback
