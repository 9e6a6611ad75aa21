"""The Helm chart cannot drift from the overlays, and takes no value that makes no sense."""

import pytest

from k8s.checks import chart, rendering
from k8s.checks.tree import Tree

CHART = "k8s/chart/second-opinion"
PLANTED = [
    (f"{CHART}/templates/triton-deployment.yaml", "failureThreshold: 240", "failureThreshold: 24",
     ["triton-deployment.yaml: is not what the overlays say", "startupProbe"]),
    (f"{CHART}/templates/triton-service.yaml", "kind: Service", "kind: Servic",
     ["no Servic in v1", "only the chart has Servic tr", "only the overlay has Service tr"]),
    (f"{CHART}/templates/gateway-service.yaml", "{{ .Release", "{{ Release", ["Release"]),
    (f"{CHART}/values.yaml", 'MAX_IN_FLIGHT: "128"', 'MAX_IN_FLIGHT: "64"',
     ["as gpu: ConfigMap gateway-settings: data.GATEWAY_MAX_IN_FLIGHT: another value"]),
    (f"{CHART}/values.yaml", "maxReplicas: 8", "maxReplicas: 9",
     ["as keda: ScaledObject triton: spec.maxReplicaCount", "as hpa: HorizontalPodAutoscaler"]),
    (f"{CHART}/values-cpu.yaml", "memory: 3Gi", "memory: 2Gi", ["as cpu: Deployment triton: spec"]),
    (f"{CHART}/Chart.yaml", "apiVersion: v2", "apiVersion: v9", ["apiVersion"]),
]  # fmt: skip
REFUSED = [
    ({}, "/models/image"),
    ({"models": {"from": "image", "image": "models:latest"}}, "/models/image"),
    ({"models": {"from": "claim"}}, "/models/claim/folder"),
    ({"models": {"from": "store", "store": {"url": "https://x"}}}, "/models/store/url"),
    ({"models": {"from": "nowhere"}}, "/models/from"),
    ({"model": {}}, "model"),
    ({"images": {"gateway": "second-opinion-gateway:latest"}}, "/images/gateway"),
    ({"images": {"gateway": "second-opinion-gateway"}}, "/images/gateway"),
    ({"gateway": {"replicas": "2"}}, "/gateway/replicas"),
    ({"gateway": {"settings": {"GATEWAY_PORT": 8080}}}, "/gateway/settings/GATEWAY_PORT"),
    ({"gateway": {"settings": {"PORT": "8080"}}}, "invalid propertyName 'PORT'"),
    ({"triton": {"pipelines": []}}, "/triton/pipelines"),
    ({"autoscaling": {"by": "both"}}, "/autoscaling/by"),
]


def test_the_chart_as_it_is_passes(as_they_are):
    assert list(chart.problems(Tree(), as_they_are)) == []


@pytest.mark.parametrize(("file", "old", "new", "told"), PLANTED)
def test_a_planted_error_is_found(file, old, new, told, *, tree, plant, as_they_are):
    plant(file, old, new)
    problems = list(chart.problems(tree, as_they_are))
    for words in told:
        assert any(words in problem for problem in problems), problems


def test_a_change_of_an_overlay_makes_the_chart_stale(tree, part, plant):
    names = {*chart.MODELS.values(), *chart.AUTOSCALING.values(), "cpu"}
    plant("k8s/base/triton/deployment.yaml", "failureThreshold: 240", "failureThreshold: 24")
    problems = list(chart.problems(tree, rendering.render(part(*names))))
    assert any("triton-deployment.yaml: is not what the overlays say" in each for each in problems)


def test_values_that_make_no_sense_are_refused_by_name():
    cases = {str(number): values for number, (values, _) in enumerate(REFUSED)}
    answers = chart.render(Tree(), {"lint": {"models": {"from": "existingClaim"}}, **cases})[
        "cases"
    ]
    assert "text" in answers.pop("lint")
    for (values, where), answer in zip(REFUSED, answers.values(), strict=True):
        assert where in answer.get("error", "it was taken"), values
