"""Where the members looked: who may ask, what the answer says of it, and what it counts as."""

import asyncio
import json

import grpc
import numpy as np
import pytest
from sqlalchemy import select
from tritonclient.utils import InferenceServerException

from database.engine import open_engine, reading
from database.tables import predictions
from gateway.results import shapes
from pipelines.load import load_spec
from pipelines.protocol import EXPLANATION_LATE, Output
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW, assert_problem, files
from tests.unit.gateway.toy_triton import SPEC, Failure

pytestmark = pytest.mark.anyio

PATH = "/api/v1/predict"
SHAPES = {
    PATH: shapes.Prediction,
    f"{PATH}/advanced": shapes.AdvancedPrediction,
    "/predict": shapes.FlatPrediction,
}


async def ask(client, path=PATH, **more):
    return await client.post(path, content=JPEG, headers={**RAW, **more})


@pytest.mark.parametrize("path", SHAPES)
async def test_every_form_of_the_answer_has_a_map_of_each_member(client, path):
    answer = (await ask(client, f"{path}?explain=true")).json()

    shapes.adapter(SHAPES[path]).validate_python(answer)
    found = answer["explanation"]
    assert (found["class"], found["grid"]) == ("cancer", 7)
    assert list(found["members"]) == ["vgg16", "regnet"]
    vgg16 = found["members"]["vgg16"]
    assert vgg16["score"] == pytest.approx(0.3)
    assert [len(row) for row in vgg16["cells"]] == [7] * 7
    assert vgg16["cells"][1][0] == pytest.approx(0.15)
    assert sum(map(sum, vgg16["cells"])) == vgg16["cells"][1][0]
    assert vgg16["faithfulness"] == {
        "hottest_hidden": pytest.approx(0.15),
        "random_hidden": pytest.approx(0.3),
        "faithful": True,
    }


@pytest.mark.parametrize("query", ["", "?explain=false", "?explain=0"])
async def test_who_does_not_ask_gets_no_map(client, query):
    answer = (await ask(client, PATH + query)).json()
    assert "explanation" not in answer


async def test_a_member_alone_is_explained_alone(client):
    answer = (await ask(client, f"{PATH}?explain=true&member=regnet")).json()
    assert list(answer["explanation"]["members"]) == ["regnet"]


async def test_a_detector_is_not_explained_and_says_why(serving):
    client = await serving(load_spec("object_detection"))
    document = assert_problem(await ask(client, f"{PATH}?explain=true"), 422, "parameter_invalid")
    assert document["detail"].startswith("explain: object_detection is no classification.")
    facts = (await client.get("/api/v1/pipelines/object_detection")).json()
    assert "explanation" not in facts


async def test_a_pipeline_without_explanations_says_so(serving):
    client = await serving(SPEC.model_copy(update={"explanation": None}))
    document = assert_problem(await ask(client, f"{PATH}?explain=true"), 422, "parameter_invalid")
    assert "oral_cancer is served without explanations" in document["detail"]
    assert (await ask(client)).status_code == 200


async def test_a_pipeline_s_facts_say_what_an_explanation_counts_as(client):
    facts = (await client.get("/api/v1/pipelines/oral_cancer")).json()
    assert facts["explanation"] == {"grid": 7, "images": 55}


async def test_a_batch_is_not_explained(client, triton):
    response = await client.post(f"{PATH}/batch?explain=true", files=files(JPEG, JPEG))
    document = assert_problem(response, 422, "parameter_invalid")
    assert document["detail"].startswith("explain: it is for one image.")
    assert not any("explain" in parameters for parameters in triton.seen)


async def test_several_images_over_grpc_are_not_explained(grpc_client):
    with pytest.raises(InferenceServerException, match=r"\[parameter_invalid\] explain: it is for"):
        await grpc_client.infer("oral_cancer", images(JPEG, JPEG), parameters={"explain": True})


async def test_grpc_has_the_maps_as_tensors(grpc_client):
    async def numbers(**parameters):
        answer = await grpc_client.infer("oral_cancer", images(JPEG), parameters=parameters)
        response = answer.get_response()
        sizes = map(len, response.raw_output_contents)
        found = dict(zip((output.name for output in response.outputs), sizes, strict=True))
        return found[Output.EXPLANATION] // 4, found[Output.FAITHFULNESS] // 4

    assert await numbers(explain=True) == (2 * 49, 2 * 4)
    assert await numbers() == (0, 0)


async def test_the_audit_log_says_that_it_was_asked_and_holds_no_map(client, sqlite_url):
    answer = (await ask(client, f"{PATH}?explain=true")).json()
    engine = open_engine(sqlite_url)
    with reading(engine).connect() as connection:
        row = connection.execute(
            select(predictions).where(predictions.c.id == answer["prediction_id"])
        ).one()
    engine.dispose()
    assert json.loads(row.parameters) == {"explain": "true"}
    assert "explanation" not in row.result
    assert "cells" not in row.result


async def test_a_key_brings_the_same_map_again(client, triton):
    key = {"Idempotency-Key": "one-photo"}
    first = await ask(client, f"{PATH}?explain=true", **key)
    asked = len(triton.seen)
    again = await ask(client, f"{PATH}?explain=true", **key)
    assert again.content == first.content
    assert "explanation" in again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert [p for p in triton.seen[asked:] if "explain" in p] == []
    # It is another question without the map.
    assert_problem(await ask(client, PATH, **key), 422, "idempotency_mismatch")


async def test_an_explanation_that_came_too_late_is_no_answer(client, triton):
    triton.failures.append(Failure(grpc.StatusCode.UNAVAILABLE, f"in x, {EXPLANATION_LATE}"))
    document = assert_problem(await ask(client, f"{PATH}?explain=true"), 504, "deadline")
    assert document["detail"].startswith("explain: ")


@pytest.mark.parametrize(
    ("output", "tensor"),
    [
        (Output.EXPLANATION, np.zeros((2, 0, 0), np.float32)),
        (Output.EXPLANATION, np.full((2, 7, 7), np.nan, np.float32)),
        (Output.EXPLANATION, np.full((2, 7, 7), 1.5, np.float32)),
        (Output.FAITHFULNESS, np.zeros((2, 0), np.float32)),
        (Output.FAITHFULNESS, np.full((2, 4), 0.5, np.float32)),
        (Output.FAITHFULNESS, np.full((2, 4), 2, np.float32)),
    ],
)
async def test_a_map_that_is_none_is_never_answered(client, triton, output, tensor):
    triton.altered[output] = tensor
    assert_problem(await ask(client, f"{PATH}?explain=true"), 500, "model_output")
    triton.altered.clear()


async def test_explanations_have_a_limit_of_their_own_and_keep_no_other_image_out(start, triton):
    client = await start(max_explanations=2, caller_share=1)
    done = asyncio.Event()

    async def hold_explanations(_image, parameters):
        if "explain" in parameters:
            await done.wait()

    triton.rules.append(hold_explanations)
    under_way = [asyncio.ensure_future(ask(client, f"{PATH}?explain=true")) for _ in range(2)]
    async with asyncio.timeout(30):
        while len([p for p in triton.seen if "explain" in p]) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    refused = await ask(client, f"{PATH}?explain=true")
    document = assert_problem(refused, 429, "busy")
    assert "too many explanations" in document["detail"]
    assert (await ask(client)).status_code == 200
    done.set()
    assert [each.status_code for each in await asyncio.gather(*under_way)] == [200, 200]
    assert (await ask(client, f"{PATH}?explain=true")).status_code == 200
