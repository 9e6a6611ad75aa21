"""The launcher as in a pod: bound to an address of its own, encrypted, with pages for probes."""

import time

import grpc
import httpx
import pytest
import tritonclient.grpc as grpcclient
import trustme

from tests.integration.service import running

POD = "127.0.0.2"
"""Not where everything is bound by default, and still this machine alone."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An authority, and one certificate for whoever serves and whoever asks."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert(POD, "localhost")
    paths = {name: folder / f"{name}.pem" for name in ("ca", "certificate", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    issued.cert_chain_pems[0].write_to_path(paths["certificate"])
    issued.private_key_pem.write_to_path(paths["key"])
    return paths


@pytest.fixture(scope="module")
def pod(oral_cancer, files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pod")
    settings = {f"TRITON_TLS_{name.upper()}_FILE": str(path) for name, path in files.items()}
    settings |= {"SERVER_HOST": POD, "GATEWAY_TRITON_HOST": POD}
    places = ("--specs", str(oral_cancer.specs), "--pipelines", "oral_cancer")
    run = ("--run-dir", str(folder / "run"))
    with running(oral_cancer.repository, folder, *places, *run, **settings) as service:
        yield service


def page(pod, path):
    return httpx.get(f"http://{POD}:{pod.server_metrics}{path}", timeout=10)


def test_the_gateway_asks_triton_over_mutual_tls(pod, oral_cancer):
    url = f"{pod.url}/api/v1/pipelines/oral_cancer/predict"
    for file in oral_cancer.files[:3]:
        httpx.post(url, files={"file": file}, timeout=60).raise_for_status()
    assert "mutual TLS" in pod.log.read_text("utf-8")


def test_triton_lets_nobody_in_without_a_certificate(pod, files):
    authority = files["ca"].read_bytes()
    for credentials in (None, grpc.ssl_channel_credentials(authority)):
        address = f"{POD}:{pod.triton_grpc}"
        channel = (
            grpc.secure_channel(address, credentials)
            if credentials
            else grpc.insecure_channel(address)
        )
        with channel, pytest.raises(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(timeout=3)


def test_what_nobody_of_ours_asks_is_shut(pod, files):
    with (
        grpcclient.InferenceServerClient(
            f"{POD}:{pod.triton_grpc}",
            ssl=True,
            root_certificates=str(files["ca"]),
            private_key=str(files["key"]),
            certificate_chain=str(files["certificate"]),
        ) as client,
        pytest.raises(grpcclient.InferenceServerException, match="restricted"),
    ):
        client.register_system_shared_memory("mine", "/mine", 64)


def test_probes_are_told_which_pipelines_answer(pod):
    assert page(pod, "/healthz").status_code == 200
    assert page(pod, "/readyz").json() == {"ready": True}
    assert page(pod, "/readyz?pipeline=oral_cancer").status_code == 200
    assert page(pod, "/readyz?pipeline=oral_cancer&pipeline=mhist").status_code == 503
    assert "server_restarts_total" in page(pod, "/metrics").text
    assert page(pod, "/other").status_code == 404


def test_connections_end_for_their_age_and_no_request_with_them(pod, oral_cancer):
    """Triton ends them after ten seconds; the gateway connects anew."""
    url = f"{pod.url}/api/v1/pipelines/oral_cancer/predict"
    until, answered = time.monotonic() + 25, 0
    with httpx.Client(timeout=60) as client:
        while time.monotonic() < until:
            client.post(url, files={"file": oral_cancer.files[0]}).raise_for_status()
            answered += 1
    assert answered > 10
