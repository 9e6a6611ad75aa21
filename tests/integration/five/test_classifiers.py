"""Snake species and MHIST answer as the plain recipe does; INT8 members where they are asked."""

import numpy as np
import onnxruntime
import pytest

from pipelines import protocol
from pipelines.protocol import Output
from tests import plain_recipe
from tests.integration.five.conftest import opinions
from tests.integration.triton import infer

TOLERANCE = 1e-4
NAMES = ("snake_species", "mhist")
ALTERNATIVES = (("snake_species", "int8"), ("mhist", "vit_int8"))


@pytest.fixture(scope="module", params=NAMES)
def expected(request, five):
    """A pipeline's name and what the plain recipe says of its photos."""
    return request.param, opinions(five, request.param)


def test_http_answers_equal_the_plain_recipe(five, http, expected):
    name, recipe = expected
    spec = five.specs[name]
    for file, opinion in zip(five.photos, recipe, strict=True):
        reply = http.post(f"/api/v1/pipelines/{name}/predict/advanced", files={"file": file})
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        found = [answer["probabilities"][label] for label in spec.classes]
        assert found == pytest.approx(opinion.probabilities, abs=TOLERANCE)
        if spec.threshold is None:
            predicted = int(np.argmax(opinion.probabilities))
        else:
            predicted = int(opinion.probabilities[1] >= spec.threshold.default)
        assert answer["prediction"] == spec.classes[predicted]
        assert list(answer["models"]) == list(spec.answering_members)
        assert answer["uncertainty"]["disagreement"] == pytest.approx(
            opinion.disagreement, abs=TOLERANCE
        )


def test_grpc_answers_equal_the_plain_recipe(five, triton, expected):
    name, recipe = expected
    spec = five.specs[name]
    for file, opinion in zip(five.photos, recipe, strict=True):
        answer = infer(triton, name, file)
        np.testing.assert_allclose(
            answer[Output.PROBABILITIES][0], opinion.probabilities, atol=TOLERANCE
        )
        for index, member in enumerate(spec.members):
            probabilities = answer[Output.MEMBER_PROBABILITIES][0, index]
            if member in spec.answering_members:
                np.testing.assert_allclose(
                    probabilities, opinion.member_probabilities[member], atol=TOLERANCE
                )
            else:
                assert np.isnan(probabilities).all(), "it was not asked"
                assert answer[Output.MEMBER_PREDICTION][0, index] == -1


def test_answers_vary_from_photo_to_photo(five, expected):
    name, recipe = expected
    spec = five.specs[name]
    threshold = spec.threshold.default if spec.threshold else None
    decided = {
        int(np.argmax(o.probabilities))
        if threshold is None
        else int(o.probabilities[1] >= threshold)
        for o in recipe
    }
    assert len(decided) >= min(5, len(spec.classes))


@pytest.mark.parametrize(("name", "member"), ALTERNATIVES)
def test_an_int8_member_answers_as_its_artefact_where_a_request_names_it(
    five, http, triton, name, member
):
    spec = five.specs[name]
    model = protocol.member_model(name, member)
    session = onnxruntime.InferenceSession(five.repository / model / "1" / "model.onnx")
    before = executions(triton, model)
    for file in five.photos[:5]:
        logits = session.run(None, {protocol.MEMBER_INPUT: plain_recipe.pixels(file, spec)[None]})[
            0
        ][0]
        wanted = plain_recipe.probabilities_of(logits)
        path = f"/api/v1/pipelines/{name}/predict?member={member}"
        answer = http.post(path, files={"file": file}).json()
        assert answer["member"] == member
        assert list(answer["members"]) == [member]
        found = [answer["probabilities"][label] for label in spec.classes]
        assert found == pytest.approx(wanted, abs=TOLERANCE)
    assert executions(triton, model) == before + 5


@pytest.mark.parametrize(("name", "member"), ALTERNATIVES)
def test_a_member_of_weight_0_runs_only_where_a_request_names_it(five, http, triton, name, member):
    alternative = executions(triton, protocol.member_model(name, member))
    answer = http.post(f"/api/v1/pipelines/{name}/predict", files={"file": five.photos[0]})
    assert member not in answer.json()["members"]
    assert executions(triton, protocol.member_model(name, member)) == alternative


@pytest.mark.parametrize(("name", "member"), ALTERNATIVES)
def test_int8_is_a_quarter_of_its_original(five, name, member):
    spec = five.specs[name]
    original = spec.members[member].quantisation.of
    sizes = [
        (five.repository / protocol.member_model(name, each) / "1" / "model.onnx").stat().st_size
        for each in (member, original)
    ]
    assert sizes[0] < 0.35 * sizes[1]


def executions(triton, model):
    (statistics,) = triton.get_inference_statistics(model).model_stats
    return int(statistics.execution_count)


def test_top_k_shows_the_most_probable_species_first(five, http):
    path = "/api/v1/pipelines/snake_species/predict"
    every = http.post(path, files={"file": five.photos[0]}).json()["probabilities"]
    three = http.post(f"{path}?top_k=3", files={"file": five.photos[0]}).json()["probabilities"]
    assert list(three.items()) == sorted(every.items(), key=lambda item: -item[1])[:3]


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("snake_species", "top_k=0", "parameter_invalid"),
        ("snake_species", "top_k=10000", "parameter_invalid"),
        ("snake_species", "top_k=1.5", "parameter_invalid"),
        ("snake_species", "threshold=0.5", "parameter_unknown"),
        ("snake_species", "visualization=true", "parameter_unknown"),
        ("mhist", "threshold=0.01", "parameter_invalid"),
        ("mhist", "threshold=0.99", "parameter_invalid"),
        ("mhist", "top_k=1", "parameter_unknown"),
    ],
)
def test_a_wrong_choice_is_refused_over_http(five, http, name, query, code):
    path = f"/api/v1/pipelines/{name}/predict?{query}"
    answer = http.post(path, files={"file": five.photos[0]})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code


def test_the_threshold_of_mhist_decides(five, http):
    file = five.photos[0]
    path = "/api/v1/pipelines/mhist/predict"
    answer = http.post(path, files={"file": file}).json()
    assert answer["threshold"] == pytest.approx(0.4)
    p = answer["probabilities"]["SSA"]
    for threshold in (max(0.05, p - 0.02), min(0.95, p + 0.02)):
        chosen = http.post(f"{path}?threshold={threshold}", files={"file": file}).json()
        assert chosen["prediction"] == ("SSA" if p >= threshold else "HP")
