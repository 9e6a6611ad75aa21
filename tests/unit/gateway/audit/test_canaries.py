"""What callers write in file names, EXIF, forms and headers is nowhere in the database or logs."""

import asyncio
import contextlib
import io
import json
import os
import re
from pathlib import Path

import pytest
from grpc import StatusCode
from PIL import Image
from structlog.testing import capture_logs
from tritonclient.utils import InferenceServerException

from pipelines.protocol import Refusal, refusal
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio
THRESHOLD = Failure(
    StatusCode.INVALID_ARGUMENT, refusal(Refusal.PARAMETER_INVALID, "threshold: no number.")
)
CANARY = "Jane-Doe-1970"


def photo(text):
    """A JPEG with a text in its EXIF data and in a comment."""
    exif = Image.Exif()
    exif[0x010E], exif[0x9286] = text, text
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif, comment=text.encode())
    assert text.encode() in file.getvalue()
    return file.getvalue()


async def plant(http, grpc):
    """Sends canaries wherever a caller can write; each has a number, to be found again."""
    numbers = iter(range(100, 1000))

    def canary():
        return f"{CANARY}-{next(numbers)}"

    path, batch = "/api/v1/predict", "/api/v1/predict/batch"
    file = (f"{canary()}.jpg", photo(canary()), "image/jpeg")
    form = {"patient": canary(), canary(): "1"}
    headers = {"x-patient": canary(), "user-agent": canary(), "cookie": canary()}
    await http.post(path, files={"file": file}, data=form, headers=headers)
    await http.post(path, files={"file": (canary(), b"text " + canary().encode())})
    await http.post(batch, files=[("files", file), ("files", (canary(), canary().encode()))])
    for query in (f"threshold={canary()}", f"{canary()}=1", f"member={canary()}"):
        await http.post(f"{path}?{query}", content=JPEG, headers=RAW)
    await http.post(f"/api/v1/pipelines/{canary()}/predict", content=JPEG, headers=RAW)
    await http.post(f"/{canary()}", content=JPEG, headers={"x-request-id": f"{canary()} !"})
    await http.post(path, content=JPEG, headers={**RAW, "idempotency-key": canary()})
    await http.post(path, json={"image": canary(), canary(): 1})
    body = {"id": canary(), "inputs": [{"name": canary(), "shape": [1], "datatype": "BYTES"}]}
    await http.post("/v2/models/oral_cancer/infer", json=body)
    for options in (
        {"request_id": canary()},
        {"parameters": {"threshold": canary()}},
        {"parameters": {canary(): "1"}},
        {"headers": {"x-patient": canary()}},
    ):
        with contextlib.suppress(InferenceServerException):
            await grpc.infer("oral_cancer", images(photo(canary())), **options)


async def test_no_canary_is_found(open_grpc, triton, new_key, audit_rows, capfd):
    async def judged(_image, parameters):
        """As Triton does, which refuses a threshold that is no number."""
        if not re.fullmatch(r"[0-9.]+", parameters.get("threshold", "0.5")):
            raise THRESHOLD

    triton.rules.append(judged)
    with capture_logs() as lines:
        grpc = await open_grpc()
        await plant(grpc.http, grpc)
        # Known callers have rows of more refusals.
        known = await open_grpc(auth="required")
        known.http.headers["x-api-key"] = new_key("ward")
        await plant(known.http, known)
        await known.http._transport.app.state.audit.checkpoint()
        await asyncio.sleep(0)
        metrics = (await grpc.http.get("/metrics")).text
    rows = audit_rows()
    assert {row.refusal for row in rows} >= {None, "image_format", "parameter_invalid"}
    folder = Path(os.environ["GATEWAY_DATABASE_URL"].removeprefix("sqlite:///")).parent
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {"own.db", "own.db-wal"} <= files.keys()
    assert rows[0].id.encode() in files["own.db"] + files["own.db-wal"]
    shown = capfd.readouterr()
    everywhere = {
        **files,
        "logs": json.dumps(lines, default=str).encode(),
        "out": shown.out.encode(),
    }
    everywhere |= {"err": shown.err.encode(), "metrics": metrics.encode()}
    assert [name for name, content in everywhere.items() if CANARY.encode() in content] == []


async def test_a_request_id_of_the_right_form_is_kept_as_it_is_asked_for(client, audit_rows):
    headers = {**RAW, "x-request-id": CANARY}
    await client.post("/api/v1/predict", content=JPEG, headers=headers)
    assert [row.request_id for row in audit_rows()] == [CANARY]
