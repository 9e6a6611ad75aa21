"""What a request may choose: threshold and member; over HTTP and gRPC alike."""

import pytest
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from pipelines.protocol import Output
from tests.integration.triton import infer


def test_the_threshold_decides_and_is_part_of_the_answer(oral_cancer, http):
    file, expected = oral_cancer.files[0], oral_cancer.opinions[0].probabilities[1]
    for threshold in (expected - 0.02, expected + 0.02):
        answer = http.post(f"/api/v1/predict?threshold={threshold}", files={"file": file}).json()
        assert answer["threshold"] == pytest.approx(threshold, abs=1e-6)
        assert answer["prediction"] == oral_cancer.spec.classes[int(expected >= threshold)]


def test_one_member_can_be_asked_alone(oral_cancer, http):
    file, expected = oral_cancer.files[0], oral_cancer.opinions[0]
    for name, probabilities in expected.member_probabilities.items():
        url = f"/api/v1/predict/advanced?member={name}"
        answer = http.post(url, files={"file": file}).json()
        assert answer["member"] == name
        assert list(answer["models"]) == [name]
        assert answer["uncertainty"]["disagreement"] == 0
        assert list(answer["probabilities"].values()) == pytest.approx(probabilities, abs=1e-4)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"threshold": "nan"}, "parameter_invalid"),
        ({"threshold": "0.01"}, "parameter_invalid"),
        ({"threshold": "0.99"}, "parameter_invalid"),
        ({"threshold": ""}, "parameter_invalid"),
        ({"top_k": "1"}, "parameter_unknown"),
        ({"treshold": "0.5"}, "parameter_unknown"),
        ({"member": "resnet"}, "member_unknown"),
    ],
)
def test_a_wrong_parameter_is_refused_over_grpc_too(oral_cancer, service, parameters, code):
    service.wait_ready()
    with (
        grpcclient.InferenceServerClient(service.grpc) as triton,
        pytest.raises(InferenceServerException, match=rf"\[{code}\]"),
    ):
        infer(triton, "oral_cancer", oral_cancer.files[0], parameters=parameters)


@pytest.mark.parametrize("threshold", ["0.3", 0.3])
def test_grpc_takes_a_threshold_as_number_or_string(oral_cancer, service, threshold):
    service.wait_ready()
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        answer = infer(
            triton, "oral_cancer", oral_cancer.files[0], parameters={"threshold": threshold}
        )
    assert answer[Output.THRESHOLD][0, 0] == pytest.approx(0.3, abs=1e-6)


def test_a_bad_image_in_one_grpc_request_names_its_place(oral_cancer, service):
    service.wait_ready()
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        with pytest.raises(InferenceServerException, match=r"\[image_format\].*1"):
            infer(triton, "oral_cancer", oral_cancer.files[0], b"hello")
        both = infer(triton, "oral_cancer", *oral_cancer.files[:2])
    assert both[Output.PROBABILITIES].shape == (2, 2)


def test_the_flat_answer_of_older_systems(oral_cancer, http):
    for path in ("/predict", "/predict/"):
        answer = http.post(path, files={"file": oral_cancer.files[0]})
        assert answer.status_code == 200
        body = answer.json()
        expected = oral_cancer.opinions[0]
        index = oral_cancer.spec.classes.index(body["prediction"])
        assert body["confidence"] == pytest.approx(expected.probabilities[index], abs=1e-4)
        assert body["uncertainty"] in {"low", "medium", "high"}
        assert body["recommendation"]
        assert body["individual_scores"] == pytest.approx(
            {name: float(p[index]) for name, p in expected.member_probabilities.items()}, abs=1e-4
        )


def test_pipelines_are_listed_with_their_facts(oral_cancer, http):
    listing = http.get("/api/v1/pipelines").json()
    assert listing["default"] == "oral_cancer"
    (facts,) = [item for item in listing["pipelines"] if item["name"] == "oral_cancer"]
    spec = oral_cancer.spec
    assert facts["classes"] == list(spec.classes)
    assert facts["threshold"] == spec.threshold.model_dump()
    assert facts["ready"] is True
    assert facts == http.get("/api/v1/pipelines/oral_cancer").json()
    assert http.get("/api/v1/pipelines/lung").status_code == 404
