"""HealthMonitor equal the plain recipe: over HTTP and over gRPC, photo by photo."""

import asyncio

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpcclient

from pipelines import protocol
from pipelines.protocol import Compute, Output
from tests.integration.triton import infer, infer_together

TOLERANCE = 1e-4


def test_the_album_has_opposed_members_and_both_answers(oral_cancer):
    threshold = oral_cancer.spec.threshold.default
    assert sum(opinion.opposed(threshold) for opinion in oral_cancer.opinions) >= 10
    assert len(set(oral_cancer.spec.weights)) > 1
    decided = [opinion.probabilities[1] >= threshold for opinion in oral_cancer.opinions]
    assert 10 <= sum(decided) <= 40


def test_http_answers_equal_the_plain_recipe(oral_cancer, http):
    spec = oral_cancer.spec
    for file, expected in zip(oral_cancer.files, oral_cancer.opinions, strict=True):
        answer = http.post("/api/v1/predict/advanced", files={"file": file}).json()
        found = [answer["probabilities"][name] for name in spec.classes]
        assert found == pytest.approx(expected.probabilities, abs=TOLERANCE)
        positive = expected.probabilities[1] >= spec.threshold.default
        assert answer["prediction"] == spec.classes[int(positive)]
        assert answer["confidence"] == pytest.approx(
            expected.probabilities[int(positive)], abs=TOLERANCE
        )
        uncertainty = answer["uncertainty"]
        assert uncertainty["disagreement"] == pytest.approx(expected.disagreement, abs=TOLERANCE)
        if expected.opposed(spec.threshold.default):
            assert uncertainty["level"] != "low"
        for name, probabilities in expected.member_probabilities.items():
            member = answer["models"][name]
            own = int(probabilities[1] >= spec.threshold.default)
            assert member["prediction"] == spec.classes[own]
            assert member["confidence"] == pytest.approx(probabilities[own], abs=TOLERANCE)


def test_grpc_answers_equal_the_plain_recipe(oral_cancer, service):
    service.wait_ready()
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        for file, expected in zip(oral_cancer.files, oral_cancer.opinions, strict=True):
            answer = infer(triton, "oral_cancer", file)
            np.testing.assert_allclose(
                answer[Output.PROBABILITIES][0], expected.probabilities, atol=TOLERANCE
            )
            members = np.stack(list(expected.member_probabilities.values()))
            np.testing.assert_allclose(
                answer[Output.MEMBER_PROBABILITIES][0], members, atol=TOLERANCE
            )
            disagreement = answer[Output.DISAGREEMENT][0, 0]
            assert disagreement == pytest.approx(expected.disagreement, abs=TOLERANCE)


def test_every_answer_says_what_each_part_of_it_computed(oral_cancer, service):
    service.wait_ready()
    parts = oral_cancer.spec.parts
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        table = infer(triton, "oral_cancer", *oral_cancer.files[:3])[Output.COMPUTE]
        assert table.shape == (3, len(parts), len(Compute))
        assert (table[..., Compute.SECONDS] > 0).all()
        assert (table[..., Compute.MEASURED] == 1).all(), "the embedded Triton measures all"
        assert (table[..., Compute.BEGAN] > table[..., Compute.ENDED]).all()
        file = oral_cancer.files[0]
        (alone,) = infer(triton, "oral_cancer", file, parameters={"member": "regnet"})["compute"]
        assert alone[parts.index("vgg16"), Compute.SECONDS] == 0
        assert alone[parts.index("regnet"), Compute.SECONDS] > 0


def test_every_answer_says_where_it_comes_from(oral_cancer, http):
    answer = http.post("/api/v1/predict", files={"file": oral_cancer.files[0]})
    body = answer.json()
    assert body["pipeline"] == "oral_cancer"
    assert body["release"].startswith(f"{oral_cancer.spec.release}-")
    assert body["preprocessing"] == "exact"
    assert body["threshold"] == oral_cancer.spec.threshold.default
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "weights" not in body, "trained weights are no demo"
    for name, model in body["members"].items():
        folder = oral_cancer.repository / protocol.member_model("oral_cancer", name) / "1"
        assert model["version"] == "1"
        assert model["sha256"] in (folder / "manifest.json").read_text("utf-8")


def test_64_photos_at_once_are_all_answered_right_and_in_batches(oral_cancer, service):
    service.wait_ready()
    chosen = [index % len(oral_cancer.files) for index in range(64)]

    async def ask() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(base_url=service.url, timeout=120, limits=limits) as client:
            posts = [
                client.post("/api/v1/predict", files={"file": oral_cancer.files[index]})
                for index in chosen
            ]
            return await asyncio.gather(*posts)

    with grpcclient.InferenceServerClient(service.grpc) as triton:
        before = {name: batched(triton, name) for name in oral_cancer.spec.members}
        answers = asyncio.run(ask())
        after = {name: batched(triton, name) for name in oral_cancer.spec.members}
    for index, answer in zip(chosen, answers, strict=True):
        assert answer.status_code == 200, answer.text
        found = list(answer.json()["probabilities"].values())
        assert found == pytest.approx(oral_cancer.opinions[index].probabilities, abs=TOLERANCE)
    for name in oral_cancer.spec.members:
        assert after[name] > before[name], f"{name} never ran a batch larger than 1"


def batched(triton: grpcclient.InferenceServerClient, member: str) -> int:
    """How many executions of a member had a batch larger than 1."""
    model = protocol.member_model("oral_cancer", member)
    (statistics,) = triton.get_inference_statistics(model).model_stats
    return sum(
        int(entry.compute_infer.count) for entry in statistics.batch_stats if entry.batch_size > 1
    )


def test_two_thresholds_in_one_batch_keep_their_own(oral_cancer, service):
    service.wait_ready()
    file, expected = oral_cancer.files[0], oral_cancer.opinions[0].probabilities[1]
    bounds = oral_cancer.spec.threshold
    thresholds = [
        max(bounds.minimum, expected - 0.05),
        min(bounds.maximum, expected + 0.05),
    ] * 8
    requests = [(file, {"threshold": str(threshold)}) for threshold in thresholds]
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        before = executions(triton, protocol.decision_model("oral_cancer"))
        answers = infer_together(triton, "oral_cancer", requests)
        ran = executions(triton, protocol.decision_model("oral_cancer")) - before
    assert ran < len(thresholds), "no two of the requests shared a batch"
    for threshold, answer in zip(thresholds, answers, strict=True):
        assert not isinstance(answer, Exception), answer
        assert answer[Output.THRESHOLD][0, 0] == pytest.approx(threshold, abs=1e-6)
        assert answer[Output.PREDICTION][0, 0] == int(expected >= threshold)


def executions(triton: grpcclient.InferenceServerClient, model: str) -> int:
    (statistics,) = triton.get_inference_statistics(model).model_stats
    return int(statistics.execution_count)
