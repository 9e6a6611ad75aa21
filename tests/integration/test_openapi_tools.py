"""What is generated from the OpenAPI document works on the real service.

The tools have an environment of their own (`make test` makes it): their dependencies are other
than ours.
"""

import json
import os
import subprocess

import pytest

from tests.integration.gateway import gateway
from tests.integration.service import ROOT

TOOLS = ROOT / ".cache" / "openapi-tools" / "bin"
CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "not_a_server_error",
)
# On a busy machine the pipeline of little patience times out, as documented; nothing else fails.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "503", "504"]
"""
ASK = """
import base64, io, json, pathlib, sys
from generated import AuthenticatedClient
from generated.api.predictions import predict, predict_batch
from generated.models import ImagesBody, NamedImage, PredictFilesBody
from generated.types import File

url, photo = sys.argv[1:]
client = AuthenticatedClient(url, token="none", prefix="", auth_header_name="X-API-Key")
data = pathlib.Path(photo).read_bytes()
form = PredictFilesBody(file=File(io.BytesIO(data), "photo.jpg", "image/jpeg"))
one = predict.sync(client=client, body=form)
images = [NamedImage(image=base64.b64encode(data).decode(), filename=name) for name in "ab"]
many = predict_batch.sync(client=client, body=ImagesBody(images=images))
print(json.dumps([one.to_dict(), many.to_dict()]))
"""


def tool(name, *arguments, **options):
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [TOOLS / name, *arguments],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


@pytest.fixture
def document(http, tmp_path):
    path = tmp_path / "openapi.json"
    path.write_text(http.get("/openapi.json").text, "utf-8")
    return path


def test_the_document_is_valid(document):
    done = tool("python", "-m", "openapi_spec_validator", document)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_generated_client_makes_predictions(service, http, oral_cancer, document, tmp_path):
    made = tool(
        "openapi-python-client", "generate", "--path", document, "--meta", "none",
        "--output-path", tmp_path / "generated",
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(oral_cancer.files[0])
    asked = tool("python", "-c", ASK, service.url, photo, cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    one, many = json.loads(asked.stdout)
    expected = http.post("/api/v1/predict", files={"file": oral_cancer.files[0]}).json()
    for field in ("prediction", "threshold", "release"):
        assert one[field] == expected[field]
    # Images that share a call round in another order.
    close = pytest.approx(expected["probabilities"], abs=1e-5)
    assert one["probabilities"] == close
    assert [result["filename"] for result in many["results"]] == ["a", "b"]
    for result in many["results"]:
        assert result["probabilities"] == close


@pytest.mark.parametrize("known", [True, False], ids=["with a key", "without a key"])
def test_nothing_undocumented_comes_back(service, known, tmp_path):
    """Of a gateway that asks who sends a request; the key may do everything, and is not ended."""
    service.wait_ready()
    (tmp_path / "schemathesis.toml").write_text(CONFIG, "utf-8")
    with gateway(service.triton_grpc, GATEWAY_AUTH="required") as asked:
        key = asked.new_key("predict", "feedback", "audit", "operate")
        headers = {"x-api-key": key}
        document = asked.get("/openapi.json", headers=headers)
        (tmp_path / "openapi.json").write_text(document.text, "utf-8")
        sent = ("--header", f"X-API-Key: {key}") if known else ()
        done = tool(
            "schemathesis", "run", tmp_path / "openapi.json", "--url", str(asked.base_url),
            "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing" if known else "coverage",
            "--max-examples", "3", "--seed", "1", *sent,
            cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    operations = sum(map(len, document.json()["paths"].values()))
    assert f"Tested: {operations}\n" in done.stdout
