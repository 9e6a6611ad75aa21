"""checkov and hadolint look at all there is, and only what has a reason passes."""

import pytest

from k8s.checks import dockerfiles, policies, rendering


@pytest.fixture
def small(part):
    return part("gpu")


TRITON = "k8s/base/triton/deployment.yaml"
PLANTED = [
    (TRITON, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "CKV_K8S_20"),
    (TRITON, "      automountServiceAccountToken: false\n", "", "CKV_K8S_38"),
    ("k8s/base/triton/kustomization.yaml", "newTag: 0.1.0", "newTag: latest", "CKV_K8S_14"),
]


def test_what_checkov_is_left_to_find_is_found_and_exceptions_of_nothing_too(
    small, plant, exceptions
):
    """All at once: it takes seconds to start."""
    for file, old, new, _ in PLANTED:
        plant(file, old, new)
    problems = list(policies.problems(rendering.render(small), exceptions))
    for *_, policy in PLANTED:
        assert any(f"Deployment.second-opinion.triton: {policy}" in each for each in problems)
    # Placeholders alone have no probes, and this overlay has none.
    assert "exceptions.yaml: checkov: CKV_K8S_8 excuses nothing any more; remove it" in problems


def test_a_careless_dockerfile_is_found(small, exceptions):
    folder = small.root / "careless"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM debian:latest\nRUN cd /tmp\n", "utf-8")
    problems = list(dockerfiles.problems(small, rendering.render(small), exceptions))
    assert any(problem.startswith("careless/Dockerfile:1: DL3007") for problem in problems)


def test_an_image_that_nothing_builds_is_found(small, plant, exceptions):
    plant("k8s/base/gateway/deployment.yaml", "image: second-opinion-", "image: second-opinion-x")
    plant("k8s/base/kustomization.yaml", "name: second-opinion-gateway", "name: second-opinion-xg")
    problems = list(dockerfiles.problems(small, rendering.render(small), exceptions))
    assert any("and there is no xgateway/Dockerfile" in problem for problem in problems)
