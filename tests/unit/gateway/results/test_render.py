from database.chain import Receipt
from gateway.core.catalog import Artefact, Pipeline
from gateway.core.request import RequestParameters
from gateway.results import classification
from gateway.results.classification import ClassificationResult, MemberProbabilities
from gateway.results.compute import ComputeTime, Part
from gateway.results.facts import Account, ImageStamp
from gateway.results.photo_quality import PhotoQuality
from pipelines.enums import Kind, Measure
from tests.unit.gateway.toy_triton import SPEC

THREE = SPEC.model_copy(
    update={
        "classes": ("adder", "grass", "smooth"),
        "positive": None,
        "threshold": None,
        "summary_aliases": {},
    }
)
ARTEFACT = Artefact(version="1", sha256="c" * 64, weights="trained")
STAMP = ImageStamp("request-1", 12.5, Account("prediction-1", Receipt("gateway-1", 3, "d" * 64)))
RESULT = ClassificationResult(
    pipeline=Pipeline(THREE, dict.fromkeys(THREE.members, ARTEFACT), "1-00000000", THREE.name),
    probabilities=[0.2, 0.5, 0.3],
    members={
        "vgg16": MemberProbabilities([0.1, 0.6, 0.3], 1),
        "regnet": MemberProbabilities([0.4, 0.3, 0.3], 0),
    },
    prediction=1,
    confidence=0.5,
    disagreement=0.3,
    entropy=0.9,
    threshold=None,
    level="medium",
    recommendation="Ask.",
    quality=PhotoQuality(dict.fromkeys(Measure, 0.5), {}, ()),
    kind={"typical": None, "typicality": None, "views": [], "reason": "None."},
    compute=ComputeTime({name: Part(0.002, Kind.CPU, False, 0.2, 0.1) for name in THREE.parts}),
)


def test_top_k_shows_the_most_probable_classes_first():
    answer = classification.advanced(RESULT, RequestParameters({"top_k": "2"}), STAMP)
    assert list(answer["probabilities"].items()) == [("grass", 0.5), ("smooth", 0.3)]
    assert list(answer["models"]["regnet"]["probabilities"]) == ["adder", "grass"]


def test_all_classes_are_shown_in_their_order_otherwise():
    answer = classification.basic(RESULT, RequestParameters({}), STAMP)
    assert list(answer["probabilities"]) == ["adder", "grass", "smooth"]


def test_an_answer_says_no_threshold_where_none_decided_and_demo_only_where_it_is():
    answer = classification.basic(RESULT, RequestParameters({}), STAMP)
    assert "threshold" not in answer
    assert "weights" not in answer


def test_individual_scores_are_each_members_probability_of_the_predicted_class():
    answer = classification.flat(RESULT, RequestParameters({}), STAMP)
    assert answer["individual_scores"] == {"vgg16": 0.6, "regnet": 0.3}
