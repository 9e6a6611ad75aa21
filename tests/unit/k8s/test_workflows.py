"""Workflows are understood by GitHub, and run actions that nobody can change afterwards."""

import pytest

from k8s.checks import workflows
from k8s.checks.tree import Tree

CI = ".github/workflows/ci.yaml"
CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
PLANTED = [
    (
        f"{CHECKOUT} # v4.2.2",
        "actions/checkout@v4.2.2",
        "actions/checkout@v4.2.2: unpinned action reference",
    ),
    (f"{CHECKOUT} # v4.2.2", CHECKOUT, "say behind it which version"),
    ("runs-on: ubuntu-24.04", "runs-on: ubuntu-2404", "ubuntu-2404"),
    ("${{ github.sha }}", "${{ github.sah }}", "sah"),
    ("contents: read", "contents: write", "overly broad permissions"),
    ("run: make lint", "run: make ${{ github.head_ref }}", "code injection via template"),
    ("timeout-minutes: 20", "timeout-minute: 20", "timeout-minute"),
]


def test_the_workflows_as_they_are_pass():
    assert Tree().workflows
    assert list(workflows.problems(Tree())) == []


@pytest.mark.parametrize(("old", "new", "told"), PLANTED)
def test_a_planted_error_is_found(old, new, told, *, tree, plant):
    plant(CI, old, new)
    problems = list(workflows.problems(tree))
    assert any(told in problem for problem in problems), problems
