"""Canaries of every form, in each place of each operation of the OpenAPI document, are nowhere.

Names and comments of feedback are in a table of their own, and gone once they are deleted.
"""

import contextlib
import itertools
import json
import os
import re
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tritonclient.utils import InferenceServerException

from gateway.identity.principal import Role
from pipelines.spec import KeepImages
from tests.unit.gateway.asking import images
from tests.unit.gateway.audit.test_canaries import photo
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio
FORMS = (
    "Jane-Doe-1970-{}",  # any text
    "jane_doe_1970_{}",  # a pipeline's name
    "deadbeef-1970-4000-8000-{:0>12}",  # an id
    "1-deadbeef1970{}",  # a release
)
MARKS = ("jane-doe-1970", "jane_doe_1970", "deadbeef-1970", "deadbeef1970")
HEADERS = ("x-patient", "user-agent", "cookie", "x-csrf-token", "referer", "x-forwarded-for")
_NUMBERS = itertools.count(100)


def canary(form=FORMS[0]):
    return form.format(next(_NUMBERS))


async def plant_everywhere(http, document, prediction):
    """Asks each operation with canaries in its path, each parameter, headers and body."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            named = operation.get("parameters", [])
            query = [each["name"] for each in named if each["in"] == "query"]
            sent = [each["name"] for each in named if each["in"] == "header"]
            real = path.replace("{prediction_id}", prediction).replace("{name}", SPEC.name)
            needed = {"pipeline": SPEC.name} if path == "/api/v1/feedback" else {}
            for form in FORMS:

                def planted(_, form=form):
                    return canary(form)

                async def ask(path, method=method, **options):
                    headers = {"content-type": "application/json"} | options.pop("headers", {})
                    answer = await http.request(method, path, headers=headers, **options)
                    assert answer.status_code < 500, (method, path, answer.text)

                await ask(re.sub(r"{[^}]*}", planted, path), params=needed)
                bare = re.sub(r"{[^}]*}", planted, real)
                for name in (*query, canary(form)):
                    await ask(bare, params=needed | {name: canary(form)})
                headers = {name: canary(form) for name in (*sent, *HEADERS)}
                # One of the right form is kept as the caller's own id of its request.
                headers["x-request-id"] = f"{canary(form)} !"
                await ask(bare, params=needed, headers=headers)
                fields = ("image", "key", "label", "kind", "objects", "patient", canary(form))
                for name in fields:
                    body = json.dumps({name: canary(form), "images": [{name: canary(form)}]})
                    await ask(bare, params=needed, content=body)


async def plant_beside(grpc, key):
    """Canaries over gRPC besides inference, and a login."""
    http = grpc.http
    for form in FORMS:
        for call in (grpc.is_model_ready, grpc.get_model_metadata, grpc.get_model_config):
            with contextlib.suppress(InferenceServerException):
                await call(canary(form), canary(form), headers={"x-api-key": key})
        body = {"key": key, "name": canary(form), canary(form): 1}
        session = await http.post("/api/v1/session", json=body, headers={"referer": canary(form)})
        assert session.status_code == 200
        headers = {"x-csrf-token": canary(form)}
        without_key = {"x-api-key": ""}
        await http.request("DELETE", "/api/v1/session", headers=headers | without_key)
        http.cookies.clear()


async def plant_kept(grpc, key):
    """A photo that is kept, and a batch whose answer is kept for its key; gives the photo's id."""
    http = grpc.http
    keep = {"x-keep-image": "yes", "x-signed-receipt": "yes"}
    file = (f"{canary()}.jpg", photo(canary()), "image/jpeg")
    answer = (await http.post("/api/v1/predict", files={"file": file}, headers=keep)).json()
    assert answer["kept"] is True
    batch = await http.post(
        "/api/v1/predict/batch",
        files=[("files", (canary(), photo(canary()))), ("files", (canary(), b"text"))],
        headers=keep | {"idempotency-key": canary()},
    )
    assert batch.status_code == 200
    headers = {"x-api-key": key, "x-keep-image": "yes", "idempotency-key": canary()}
    await grpc.infer(SPEC.name, images(photo(canary())), headers=headers)
    return answer["prediction_id"]


@pytest.fixture
def keeping(triton):
    triton.serve(SPEC.model_copy(update={"keep_images": KeepImages(days=1)}))


@pytest.mark.usefixtures("keeping")
async def test_no_canary_of_any_route_is_found(open_grpc, new_key, audit_rows, tmp_path, capfd):
    key = new_key("ward", list(Role))
    with capture_logs() as lines:
        grpc = await open_grpc(auth="required", kept_images=str(tmp_path / "images"))
        http = grpc.http
        http.headers["x-api-key"] = key
        document = (await http.get("/openapi.json")).json()
        prediction = await plant_kept(grpc, key)
        await plant_everywhere(http, document, prediction)
        # Its image was deleted meanwhile.
        prediction = await plant_kept(grpc, key)
        await plant_beside(grpc, key)
        said = {"label": "cancer", "reader": canary(), "comment": f"{canary()} has a biopsy."}
        given = await http.post(f"/api/v1/predictions/{prediction}/feedback", json=said)
        assert given.status_code == 201, given.text
        comment = f"/api/v1/predictions/{prediction}/feedback/{given.json()['id']}/comment"
        assert (await http.delete(comment)).json() == {"deleted": True}
        await http._transport.app.state.audit.checkpoint()
        metrics = (await http.get("/metrics")).text
    rows = audit_rows()
    events = {row.event for row in rows}
    assert events >= {"prediction", "refusal", "feedback", "comment_deleted", "image_read"}
    assert found_in(rows="\n".join(map(str, rows)).encode()) == []
    path = Path(os.environ["GATEWAY_DATABASE_URL"].removeprefix("sqlite:///"))
    # What was overwritten in the database may still be in its log.
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = {file.name: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    files = {file.name: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    assert prediction.encode() in files["own.db"]
    assert f"{prediction}.kept" in kept
    shown = capfd.readouterr()
    logs = json.dumps(lines, default=str).encode()
    assert found_in(
        **kept, **files, logs=logs, out=shown.out.encode(), err=shown.err.encode(),
        metrics=metrics.encode(),
    ) == []  # fmt: skip


def found_in(**contents):
    """The names of contents that have a mark, and the mark."""
    return [
        (name, mark)
        for name, content in contents.items()
        for mark in MARKS
        if mark.encode() in content.lower()
    ]
