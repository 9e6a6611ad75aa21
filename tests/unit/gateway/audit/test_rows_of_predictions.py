"""Every image has one row, written before its answer; its answer says which, on every transport."""

import hashlib
import hmac
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import FULL, JPEG, PNG, RAW, files
from tests.unit.gateway.toy_triton import release_of

pytestmark = pytest.mark.anyio


def receipts(rows):
    return [{"chain": row.chain, "position": row.position, "head": row.hash} for row in rows]


@pytest.mark.parametrize("path", ["/api/v1/predict", "/api/v1/predict/advanced", "/predict"])
async def test_an_answer_names_its_row(client, triton, audit_rows, path):
    response = await client.post(
        path, content=JPEG, headers={**RAW, "x-request-id": "from-the-ward"}
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    (row,) = audit_rows()
    assert (answer["prediction_id"], [answer["receipt"]]) == (row.id, receipts([row]))
    assert (row.event, row.transport, row.pipeline) == ("prediction", "http", "oral_cancer")
    assert (row.release, row.request_id) == (release_of(triton.spec), "from-the-ward")
    assert (row.release_sha256, row.refusal) == ("9" * 64, None)
    assert (row.input_bytes, row.input_format) == (len(JPEG), "jpeg")
    assert (row.principal_kind, row.principal_id) == ("open", "")
    assert set(json.loads(row.stages)) == {"receive", "infer"}


async def test_a_row_says_what_the_answer_says(client, audit_rows):
    query = "threshold=0.6&top_k=1"
    response = await client.post(f"/api/v1/predict/advanced?{query}", content=JPEG, headers=RAW)
    answer = response.json()
    (row,) = audit_rows()
    result = json.loads(row.result)
    assert json.loads(row.parameters) == {"threshold": "0.6", "top_k": "1"}
    for name in ("prediction", "confidence", "uncertainty", "input", "threshold", "weights"):
        assert result[name] == answer[name]
    assert result["quality"]["warnings"] == [each["code"] for each in answer["quality"]["warnings"]]
    assert result["quality"]["sharpness"] == answer["quality"]["sharpness"]
    assert result["probabilities"].keys() > answer["probabilities"].keys()
    assert result["members"].keys() == answer["models"].keys()


async def test_the_digest_of_an_image_is_keyed(client, audit_rows):
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    (row,) = audit_rows()
    pepper = bytes.fromhex((Path(os.environ["GATEWAY_SECRETS_DIR"]) / "pepper").read_text())
    key = hmac.digest(pepper, b"digest of an input", "sha256")
    assert row.input_digest == hmac.digest(key, JPEG, "sha256").hex()
    assert row.input_digest != hashlib.sha256(JPEG).hexdigest()


async def test_each_image_of_a_batch_has_its_row_also_where_it_is_refused(client, audit_rows):
    response = await client.post("/api/v1/predict/batch", files=files(JPEG, b"text", PNG))
    entries, rows = response.json()["results"], audit_rows()
    assert [entry["prediction_id"] for entry in entries] == [row.id for row in rows]
    assert [entry["receipt"] for entry in entries] == receipts(rows)
    assert [row.refusal for row in rows] == [None, "image_format", None]
    assert [row.result is None for row in rows] == [False, True, False]
    assert len({row.request_id for row in rows}) == 1


async def test_a_batch_without_an_answer_has_its_rows(client, audit_rows):
    response = await client.post("/api/v1/predict/batch", files=files(b"text", b""))
    assert response.status_code in {415, 422}
    rows = audit_rows()
    assert [entry["receipt"] for entry in response.json()["results"]] == receipts(rows)
    assert [row.refusal for row in rows] == ["image_format", "image_empty"]


async def test_a_refused_image_has_one_row(client, triton, audit_rows):
    triton.failures.append(FULL)
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert response.status_code == 429
    (row,) = audit_rows()
    assert (row.refusal, row.release, row.result) == ("busy", None, None)


async def test_refusals_without_credentials_before_an_image_are_no_rows(client, audit_rows):
    for path in ("/api/v1/predict?threshold=a&threshold=b", "/api/v1/pipelines/none/predict"):
        assert (await client.post(path, content=JPEG, headers=RAW)).status_code in {404, 422}
    assert audit_rows() == []


async def test_grpc_names_the_rows_in_parameters(open_grpc, audit_rows):
    client = await open_grpc()
    result = await client.infer("oral_cancer", images(JPEG))
    (row,) = audit_rows()
    parameters = result.get_response().parameters
    assert parameters["prediction_id"].string_param == row.id
    assert json.loads(parameters["receipt"].string_param) == receipts([row])[0]
    assert row.transport == "grpc"


async def test_grpc_names_the_row_of_each_of_several_images(open_grpc, audit_rows):
    client = await open_grpc()
    result = await client.infer("oral_cancer", images(JPEG, PNG))
    rows = audit_rows()
    parameters = result.get_response().parameters
    assert parameters["prediction_id"].string_param == ",".join(row.id for row in rows)
    assert json.loads(parameters["receipt"].string_param) == receipts(rows)
    assert [row.input_format for row in rows] == ["jpeg", "png"]


async def test_a_refusal_over_grpc_has_its_row(open_grpc, audit_rows):
    client = await open_grpc()
    with pytest.raises(InferenceServerException):
        await client.infer("oral_cancer", images(b"text"))
    (row,) = audit_rows()
    assert (row.transport, row.refusal) == ("grpc", "image_format")


async def test_kserves_protocol_over_http_names_the_rows_in_parameters(client, audit_rows):
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(JPEG) + 4}
    header = json.dumps({"inputs": [tensor]}).encode()
    body = header + np.uint32(len(JPEG)).tobytes() + JPEG
    response = await client.post(
        "/v2/models/oral_cancer/infer",
        content=body,
        headers={"inference-header-content-length": str(len(header))},
    )
    assert response.status_code == 200, response.text
    (row,) = audit_rows()
    parameters = response.json()["parameters"]
    assert parameters["prediction_id"] == row.id
    assert json.loads(parameters["receipt"]) == receipts([row])[0]
    assert row.transport == "kserve"
