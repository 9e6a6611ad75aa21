import copy
import json

import pytest

from lab.errors import LabError
from lab.images import gateway_checks
from lab.images.tools import Ended

LABELS = ("title", "description", "licenses", "version", "revision")
FACTS = {
    "Size": 150 * gateway_checks.MB,
    "Config": {
        "User": "65532:65532",
        "Entrypoint": ["python", "-m", "gateway"],
        "Labels": {f"org.opencontainers.image.{name}": "x" for name in LABELS},
    },
}
INSIDE = {"user": 65532, "group": 65532, "root": True, "tmp": False, "shells": [], "unwanted": []}


def test_a_good_image_passes():
    assert gateway_checks.check_facts(FACTS).startswith("150 MB")
    gateway_checks.check_inside(Ended(0, json.dumps(INSIDE)))
    gateway_checks.check_refusal(Ended(2, "gateway: where GATEWAY_AUTH=off would let everyone in"))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"Size": 200 * gateway_checks.MB}, "less than 200"),
        ({"Config": {"User": ""}}, "the image's user is ''"),
        ({"Config": {"User": "0"}}, "the image's user is '0'"),
        ({"Config": {"Entrypoint": ["sh", "-c", "python -m gateway"]}}, "keep signals from it"),
        ({"Config": {"Labels": {}}}, "labels are missing: description, licenses"),
    ],
)
def test_a_fault_of_the_image_is_told(fault, told):
    facts = copy.deepcopy(FACTS)
    for name, value in fault.items():
        facts[name] = facts[name] | value if isinstance(value, dict) else value
    with pytest.raises(LabError, match=told):
        gateway_checks.check_facts(facts)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"user": 0}, "it runs as 0"),
        ({"root": False}, "read-only root"),
        ({"tmp": True}, "read-only root"),
        ({"shells": ["/bin/sh"]}, "it contains /bin/sh"),
        ({"unwanted": ["torch"]}, "it contains torch"),
    ],
)
def test_a_fault_within_the_container_is_told(fault, told):
    with pytest.raises(LabError, match=told):
        gateway_checks.check_inside(Ended(0, json.dumps(INSIDE | fault)))


def test_a_python_that_does_not_run_is_told():
    with pytest.raises(LabError, match="libz is missing"):
        gateway_checks.check_inside(Ended(127, "libz is missing"))


@pytest.mark.parametrize("ended", [Ended(0, "GATEWAY_AUTH=off"), Ended(2, "port 8080 is taken")])
def test_a_gateway_that_would_let_everyone_in_is_told(ended):
    with pytest.raises(LabError, match="with GATEWAY_AUTH=off it ended with"):
        gateway_checks.check_refusal(ended)
