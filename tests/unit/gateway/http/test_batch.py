import asyncio

import grpc
import pytest

from gateway.results import shapes
from pipelines.enums import QualityWarning
from pipelines.protocol import Refusal, refusal
from tests.unit.gateway.samples import (
    FULL,
    JPEG,
    PNG,
    assert_problem,
    files,
)
from tests.unit.gateway.toy_triton import Failure, release_of

pytestmark = pytest.mark.anyio


async def refuses_text(image, _parameters):
    if b"bad" in image:
        message = refusal(Refusal.IMAGE_UNDECODABLE, "the JPEG data end too early. Send it whole.")
        raise Failure(grpc.StatusCode.INVALID_ARGUMENT, message)


async def test_a_batch_answers_each_image_in_its_place(client, triton):
    triton.rules.append(refuses_text)
    response = await client.post(
        "/api/v1/predict/batch", files=files(JPEG, b"text", JPEG + b"bad", PNG, b"")
    )
    assert response.status_code == 200, response.text
    answer = shapes.adapter(shapes.BatchPrediction).validate_python(response.json())
    assert [result["filename"] for result in answer["results"]] == [f"{n}.jpg" for n in range(5)]
    assert [result.get("error", {}).get("code") for result in answer["results"]] == [
        None,
        "image_format",
        "image_undecodable",
        None,
        "image_empty",
    ]
    assert answer["results"][2]["error"]["detail"].startswith("files[2]: the JPEG data")
    assert response.json()["summary"] == {
        "total": 5,
        "failed": 3,
        "counts": {"healthy": 0, "cancer": 2},
        "cancer_detected": 2,
        "average_confidence": 0.63,
        "warned": 2,
        "warnings": dict.fromkeys(QualityWarning, 0) | {"blurred": 2},
        "compute_ms": 125.0,
        "atypical": 0,
    }


@pytest.mark.parametrize(
    ("contents", "status", "code"),
    [
        ([b"text", b"more text"], 415, "image_format"),
        ([b"", b""], 422, "image_empty"),
        ([b"text", b""], 422, "image_empty"),
    ],
)
async def test_a_batch_without_any_answer_is_a_problem(client, contents, status, code):
    response = await client.post("/api/v1/predict/batch", files=files(*contents))
    assert_problem(response, status, code)
    assert len(response.json()["results"]) == len(contents)
    assert response.json()["summary"]["average_confidence"] is None


async def test_a_batch_waits_for_a_full_queue(client, triton):
    triton.failures += [FULL] * 3
    response = await client.post("/api/v1/predict/batch", files=files(JPEG, JPEG))
    assert response.json()["summary"]["failed"] == 0


async def test_a_batch_has_only_so_many_images_in_triton_at_a_time(start, triton):
    async def slowly(_image, _parameters):
        await asyncio.sleep(0.02)

    triton.rules.append(slowly)
    client = await start(batch_concurrency=3)
    response = await client.post("/api/v1/predict/batch", files=files(*[JPEG] * 12))
    assert response.json()["summary"]["failed"] == 0
    assert triton.most == 3


async def test_the_deadline_of_a_batch_leaves_the_answered_images_their_answers(start, triton):
    async def some_forever(image, _parameters):
        if b"slow" in image:
            await asyncio.sleep(3600)

    triton.rules.append(some_forever)
    client = await start(deadline_seconds=0.3)
    response = await client.post("/api/v1/predict/batch", files=files(JPEG, JPEG + b"slow"))
    codes = [result.get("error", {}).get("code") for result in response.json()["results"]]
    assert codes == [None, "deadline"]


async def test_a_batch_whose_release_is_replaced_meanwhile_is_answered_by_the_new_one(
    client, triton
):
    newer = triton.spec.model_copy(update={"release": "2"})
    asked = 0

    async def replace(_image, _parameters):
        nonlocal asked
        asked += 1
        if asked == 12:
            triton.serve(newer)

    triton.rules.append(replace)
    answer = (await client.post("/api/v1/predict/batch", files=files(*[JPEG] * 20))).json()
    assert (answer["release"], answer["summary"]["failed"]) == (release_of(newer), 0)
