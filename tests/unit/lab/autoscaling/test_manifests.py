"""The overlays' autoscalers, as they are read."""

import pytest

from lab.autoscaling import manifests
from lab.errors import LabError
from tests.unit.lab.autoscaling import shipped


@pytest.fixture
def of_keda():
    return shipped.keda()


@pytest.fixture
def of_hpa():
    return shipped.hpa()


def test_both_autoscalers_say_the_same(of_keda, of_hpa):
    keda, hpa = manifests.keda(of_keda), manifests.hpa(of_hpa)
    assert (keda.minimum, keda.maximum) == (hpa.minimum, hpa.maximum)
    assert keda.behaviour == hpa.behaviour
    assert [(m.kind, m.target) for m in keda.metrics] == [(m.kind, m.target) for m in hpa.metrics]
    for one, other in zip(keda.metrics, hpa.metrics, strict=True):
        assert one.query.split() == other.query.split()


def test_a_scaler_that_takes_silence_for_zero_is_refused(of_keda):
    (scaler,) = (item for item in of_keda if item["kind"] == "ScaledObject")
    del scaler["spec"]["triggers"][0]["metadata"]["ignoreNullValues"]
    with pytest.raises(LabError, match="ignoreNullValues"):
        manifests.keda(of_keda)


def test_a_metric_that_the_adapter_does_not_offer_is_refused(of_hpa):
    (scaler,) = (item for item in of_hpa if item["kind"] == "HorizontalPodAutoscaler")
    scaler["spec"]["metrics"][0]["external"]["metric"]["name"] = "another"
    with pytest.raises(LabError, match="another: prometheus-adapter"):
        manifests.hpa(of_hpa)


def test_two_autoscalers_of_one_service_are_refused(of_keda):
    scalers = [item for item in of_keda if item["kind"] == "ScaledObject"]
    with pytest.raises(LabError, match="only one may scale"):
        manifests.keda(of_keda + scalers)


def test_a_trigger_that_is_not_known_is_refused(of_keda):
    (scaler,) = of_keda
    scaler["spec"]["triggers"].append({"type": "cron", "metadata": {}})
    with pytest.raises(LabError, match="trigger cron"):
        manifests.keda(of_keda)


def test_the_gateways_settings_are_found_whatever_the_hash_of_their_name():
    settings = {
        "kind": "ConfigMap",
        "metadata": {"name": "gateway-settings-7k2"},
        "data": {"A": "1"},
    }
    assert manifests.gateway_settings([settings]) == {"A": "1"}
    with pytest.raises(LabError, match="gateway-settings"):
        manifests.gateway_settings([])
