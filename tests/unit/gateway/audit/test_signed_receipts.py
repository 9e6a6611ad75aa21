"""A request that says X-Signed-Receipt: yes gets its receipts signed, over each door."""

import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from typer.testing import CliRunner

from database.chain import Receipt, is_signed
from gateway.commands.command_line import app
from tests.unit.gateway.asking import assert_refused, images
from tests.unit.gateway.http.test_kserve import INFER, binary
from tests.unit.gateway.samples import JPEG, PNG, RAW, assert_problem, files

pytestmark = pytest.mark.anyio
PREDICT = "/api/v1/predict"
SIGNED = {"x-signed-receipt": "yes"}
PLACE = {"chain", "position", "head"}


def public_key() -> Ed25519PublicKey:
    ended = CliRunner().invoke(app, ["audit", "public-key"])
    key = load_pem_public_key(ended.stdout.encode())
    assert isinstance(key, Ed25519PublicKey)
    return key


def assert_signed(receipt, row):
    """Of this row, at its time, and by the service's key."""
    place = Receipt(row.chain, row.position, row.hash)
    assert receipt == {
        **place.as_json(),
        "statement": "receipt",
        "at": row.at,
        "key": sha256(public_key().public_bytes_raw()).hexdigest()[:16],
        "signature": receipt["signature"],
    }
    assert is_signed(public_key(), "receipt", place, row.at, receipt["signature"])


@pytest.mark.parametrize("path", [PREDICT, f"{PREDICT}/advanced", "/predict"])
async def test_an_answer_over_http_has_its_receipt_signed(client, audit_rows, path):
    answer = (await client.post(path, content=JPEG, headers=RAW | SIGNED)).json()
    (row,) = audit_rows()
    assert_signed(answer["receipt"], row)
    signed = await client.get(f"/api/v1/predictions/{answer['prediction_id']}/receipt")
    assert signed.json() == answer["receipt"]


@pytest.mark.parametrize("headers", [{}, {"x-signed-receipt": "no"}])
async def test_without_the_request_no_receipt_is_signed(client, headers):
    answer = (await client.post(PREDICT, content=JPEG, headers=RAW | headers)).json()
    assert answer["receipt"].keys() == PLACE


@pytest.mark.parametrize("sent", [(JPEG, PNG, b"text"), (b"text", b"more text")])
async def test_each_image_of_a_batch_has_its_own_refused_ones_too(client, audit_rows, sent):
    answer = (await client.post(f"{PREDICT}/batch", files=files(*sent), headers=SIGNED)).json()
    for result, row in zip(answer["results"], audit_rows(), strict=True):
        assert_signed(result["receipt"], row)


async def test_an_answer_over_grpc_has_its_receipts_signed(grpc_client, audit_rows):
    result = await grpc_client.infer("oral_cancer", images(JPEG, PNG), headers=SIGNED)
    receipts = json.loads(result.get_response().parameters["receipt"].string_param)
    for receipt, row in zip(receipts, audit_rows(), strict=True):
        assert_signed(receipt, row)
    refused = grpc_client.infer(
        "oral_cancer", images(JPEG), headers={"x-signed-receipt": "perhaps"}
    )
    await assert_refused(refused, "INVALID_ARGUMENT", "parameter_invalid")


async def test_an_answer_in_kserves_protocol_has_its_receipt_signed(client, audit_rows):
    asked = binary(JPEG)
    response = await client.post(INFER, content=asked["content"], headers=asked["headers"] | SIGNED)
    (row,) = audit_rows()
    assert_signed(json.loads(response.json()["parameters"]["receipt"]), row)


async def test_another_word_is_refused_and_names_the_header(client):
    response = await client.post(PREDICT, content=JPEG, headers=RAW | {"x-signed-receipt": "1"})
    problem = assert_problem(response, 422, "parameter_invalid")
    assert problem["detail"] == "X-Signed-Receipt: say yes or no, or leave it out."


async def test_a_repeated_request_gets_the_same_signature_and_another_wish_is_another_request(
    client, audit_rows
):
    keyed = RAW | {"idempotency-key": "11112222"}
    first = await client.post(PREDICT, content=JPEG, headers=keyed | SIGNED)
    again = await client.post(PREDICT, content=JPEG, headers=keyed | SIGNED)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    (row,) = audit_rows()
    assert_signed(again.json()["receipt"], row)
    other = await client.post(PREDICT, content=JPEG, headers=keyed)
    assert_problem(other, 422, "idempotency_mismatch")


async def test_a_signature_of_another_place_is_found(client, tmp_path):
    answer = (await client.post(PREDICT, content=JPEG, headers=RAW | SIGNED)).json()
    path = tmp_path / "answer.json"
    words = ["audit", "verify", "--receipt", str(path)]
    path.write_text(json.dumps(answer))
    assert CliRunner().invoke(app, words).exit_code == 0
    answer["receipt"]["at"] += 1
    path.write_text(json.dumps(answer))
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 1
    assert "the receipt is not signed by this service's key" in ended.stdout
