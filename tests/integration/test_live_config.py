"""What Triton runs is what is committed, but for the launcher's own parameters."""

import json

import pytest
import tritonclient.grpc as grpcclient

from export.triton_config import configs
from pipelines import protocol
from tests.live_config import without_override


@pytest.fixture
def live(oral_cancer, service):
    service.wait_ready()
    with grpcclient.InferenceServerClient(service.grpc) as triton:
        return {name: triton.get_model_config(name).config for name in configs(oral_cancer.spec)}


def test_live_configs_minus_the_override_equal_the_committed_ones(oral_cancer, live):
    for name, committed in configs(oral_cancer.spec).items():
        assert without_override(live[name], committed) == committed


def test_the_override_says_which_artefacts_serve(oral_cancer, live):
    artefacts = json.loads(
        live["oral_cancer"].parameters[protocol.ConfigOverride.ARTEFACTS].string_value
    )
    for name, artefact in artefacts.items():
        model = live[protocol.member_model("oral_cancer", name)]
        assert model.parameters[protocol.ConfigOverride.SHA256].string_value == artefact["sha256"]
        assert list(model.version_policy.specific.versions) == [int(artefact["version"])]
