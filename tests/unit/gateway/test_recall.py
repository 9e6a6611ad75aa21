"""The predictions of a release, and whose decision changes; the command in a process of its own."""

import asyncio
import json
import os
import sys
from collections import Counter

import grpc
import numpy as np
import pytest
from sqlalchemy import event, select

from database.engine import open_engine
from database.tables import predictions
from database.writer import Writer
from gateway import recall
from gateway.errors import Code, RefusedError
from lab.paths import ROOT
from pipelines.protocol import Output
from pipelines.spec import KeepImages
from tests.unit.database.rows import row
from tests.unit.gateway.asking import until_ready
from tests.unit.gateway.samples import JPEG, PNG, RAW
from tests.unit.gateway.toy_triton import SPEC, Failure, release_of

pytestmark = pytest.mark.anyio
RELEASE, OTHER = "1-3fa9c2d1", "2-00000000"
CANCER, HEALTHY = '{"prediction": "cancer"}', '{"prediction": "healthy"}'
FOUND = '{"predictions": [{"class": "lesion"}, {"class": "lesion"}, {"class": "ulcer"}]}'


@pytest.fixture
def engine(sqlite_url):
    engine = open_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def write(engine):
    async def written(*rows):
        writer = Writer(engine, "gateway")
        writer.start()
        await writer.write_all(rows)
        await writer.close()

    return written


async def no_image(_):
    return None


async def never(*_):
    raise AssertionError("nothing was kept")


async def all_of(engine, image_of=no_image, ask=never):
    return [each async for each in recall.recall(engine, RELEASE, image_of, ask)]


async def test_every_answered_prediction_of_the_release_is_listed_in_pages(
    engine, write, monkeypatch
):
    monkeypatch.setattr(recall, "_PAGE", 10)
    wanted = [row(release=RELEASE, result=CANCER) for _ in range(25)]
    others = [row(release=OTHER, result=CANCER), row(release=None, result=None, refusal="busy")]
    await write(*wanted, *others)
    statements = Counter()

    @event.listens_for(engine, "before_cursor_execute")
    def seen(_connection, _cursor, statement, *_):
        statements["pages"] += "LIMIT" in statement

    found = await all_of(engine)
    assert [each.id for each in found] == sorted(each["id"] for each in wanted)
    assert statements["pages"] == 4
    assert await recall.count(engine, RELEASE) == 25
    first = found[0].as_json()
    assert (first["decision"], first["kept"], first["changed"]) == ("cancer", False, None)
    assert (first["tenant"], first["request_id"]) == ("ward", "r1")


async def test_kept_images_are_asked_again_with_their_own_parameters(engine, write):
    same, other = (
        row(release=RELEASE, result=CANCER, kept=True, parameters='{"threshold":"0.4"}')
        for _ in range(2)
    )
    destroyed = row(release=RELEASE, result=CANCER, kept=True)
    await write(same, other, destroyed)
    images = {same["id"]: b"same", other["id"]: b"other"}
    asked = []

    async def image_of(name):
        return images.get(name)

    async def ask(*question):
        asked.append(question)
        return OTHER, "cancer" if question[2] == b"same" else "healthy"

    found = {each.id: each for each in await all_of(engine, image_of, ask)}
    assert [question[:2] for question in asked] == [("oral_cancer", {"threshold": "0.4"})] * 2
    assert (found[same["id"]].changed, found[other["id"]].changed) == (False, True)
    assert found[other["id"]].as_json()["decision_now"] == "healthy"
    assert found[other["id"]].release_now == OTHER
    assert found[destroyed["id"]].kept is False


async def test_of_a_detector_the_objects_of_each_class_are_compared(engine, write):
    await write(row(release=RELEASE, result=FOUND, kept=True))

    async def image_of(_):
        return b"photo"

    async def ask(*_):
        return OTHER, {"lesion": 1, "ulcer": 1}

    (found,) = await all_of(engine, image_of, ask)
    assert found.decision == {"lesion": 2, "ulcer": 1}
    assert found.changed


async def test_an_image_that_gets_no_answer_is_said_so(engine, write):
    await write(row(release=RELEASE, result=CANCER, kept=True))

    async def image_of(_):
        return b"photo"

    async def ask(*_):
        raise RefusedError(Code.MEMBER_UNKNOWN, "member: there is none of this name.")

    (found,) = await all_of(engine, image_of, ask)
    assert found.problem == "[member_unknown] member: there is none of this name."
    assert (found.kept, found.changed) == (True, False)


async def command(*words, **environment):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "recall", *words),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_asks_again_and_names_whose_decision_changed(
    start, triton, tmp_path, monkeypatch, sqlite_url
):
    monkeypatch.setenv("GATEWAY_KEPT_IMAGES", str(tmp_path / "kept"))
    triton.serve(SPEC.model_copy(update={"keep_images": KeepImages(days=30)}))
    client = await start()
    await until_ready(client)

    async def predict(image, query="", **headers):
        path = f"/api/v1/predict{query}"
        response = await client.post(path, content=image, headers=RAW | headers)
        return response.json()["prediction_id"]

    changed = await predict(JPEG, "?explain=true", **{"x-keep-image": "yes"})
    broken = await predict(PNG, **{"x-keep-image": "yes"})
    listed = await predict(JPEG)
    release = release_of(triton.spec)
    # What serves now answers otherwise, and one photo no more.
    triton.altered[Output.PREDICTION] = np.array([0], np.int32)

    async def none_of_png(image, _):
        if image == PNG:
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, "[image_undecodable] It is cut.")

    triton.rules.append(none_of_png)
    code, out, err = await command(
        "--release", release, "--json", TRITON_GRPC_PORT=str(triton.port)
    )
    # The decision is compared, so nothing is explained again.
    assert sum("explain" in parameters for parameters in triton.seen) == 1
    found = {each["prediction_id"]: each for each in map(json.loads, out.splitlines())}
    assert code == 1, err
    assert list(found) == [changed, broken, listed]
    assert (found[changed]["decision"], found[changed]["decision_now"]) == ("cancer", "healthy")
    assert (found[changed]["changed"], found[changed]["release_now"]) == (True, release)
    assert found[broken]["problem"].startswith("[image_undecodable]")
    assert (found[listed]["kept"], found[listed]["changed"]) == (False, None)
    assert f"3 predictions of release {release}. 2 have a kept image: 1 of them" in err

    # The recall is a row, and so is each question; none is of the release's callers.
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        rows = connection.execute(
            select(predictions).where(predictions.c.principal_id == "recall")
        ).all()
    engine.dispose()
    assert sorted(each.event for each in rows) == ["audit_read", "prediction", "prediction"]
    assert {each.transport for each in rows} == {"command"}


async def test_the_command_prints_a_line_for_people(start, triton, sqlite_url):
    client = await start()
    await until_ready(client)
    answer = (await client.post("/api/v1/predict", content=JPEG, headers=RAW)).json()
    code, out, err = await command(
        "--release", answer["release"], TRITON_GRPC_PORT=str(triton.port)
    )
    assert code == 0, err
    assert answer["prediction_id"] in out
    assert out.rstrip().endswith("cancer  image not kept")
    code, out, err = await command("--release", "9-unknown", TRITON_GRPC_PORT=str(triton.port))
    assert (code, out) == (0, "")
    assert "0 predictions of release 9-unknown" in err


async def test_a_database_that_cannot_be_used_ends_the_command_with_a_message(tmp_path):
    code, out, err = await command(
        "--release", RELEASE, GATEWAY_DATABASE_URL=f"sqlite:///{tmp_path}"
    )
    assert (code, out) == (2, "")
    assert err.startswith("gateway: ")
    assert "Traceback" not in err
