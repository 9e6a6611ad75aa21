"""The bench starts a real service, asks it, and knows its processes."""

from lab.bench.asking import ask, upload
from lab.bench.own_service import DECISION, DECODE, GATEWAY, LAUNCHER, TRITON, OwnService
from tests import photos

PATH = "/api/v1/pipelines/oral_cancer/predict"


def test_a_service_of_its_own_answers_and_is_measured(oral_cancer, tmp_path):
    requests = [upload(PATH, [photos.encoded(photos.photo(seed), "JPEG")]) for seed in range(4)]
    service = OwnService(
        ["oral_cancer"],
        oral_cancer.repository,
        log=tmp_path / "service.log",
        environment={"GATEWAY_MAX_IN_FLIGHT": "2"},
    )
    with service:
        few = ask(service, requests, concurrency=2, seconds=0, fewest=8)
        many = ask(service, requests, concurrency=8, seconds=0, fewest=8)
    roles = {GATEWAY, TRITON, DECODE, DECISION, LAUNCHER, "vgg16", "regnet"}
    assert (few.requests, few.refused, few.errors) == (8, 0, {})
    assert set(few.pss_mib) == set(few.cpu_seconds) == roles
    assert few.pss_mib["vgg16"] > 50
    assert few.cpu_seconds["vgg16"] > 0
    assert many.refused > 0, "more callers than may be in flight"
    assert not many.errors
