"""What a person is told: one line a check, the remedy where a tool or a field is missing."""

import pytest

from k8s.checks import __main__ as command
from k8s.checks import executables
from k8s.checks.errors import ChecksError
from k8s.checks.tree import PROJECT, Tree


def missing_tool():
    raise ChecksError("tool: not there; get it")


def missing_field():
    return [{}["spec"]]


@pytest.mark.parametrize(
    ("problems", "passed", "told"),
    [
        (list, True, ["ok    a check ("]),
        (lambda: ["one", "two"], False, ["FAIL  a check (", "      one", "      two"]),
        (missing_tool, False, ["FAIL  a check (", "      tool: not there; get it"]),
        (missing_field, False, ["FAIL  a check (", "      an object has no 'spec'; add it"]),
    ],
)
def test_a_check_is_one_line_and_a_line_for_each_problem(problems, passed, told, capsys):
    assert command._check("a check", problems) is passed
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(told[0])
    assert others == told[1:]


@pytest.mark.parametrize(
    ("find", "told"),
    [
        (executables.kustomize, "install kubectl 1.27"),
        (executables.checkov, "make k8s-check"),
        (executables.tools_python, "make k8s-check"),
    ],
)
def test_a_tool_that_is_nowhere_is_named_with_its_remedy(find, told, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(executables, "CACHE", tmp_path)
    with pytest.raises(ChecksError, match=told):
        find()


def test_a_command_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(executables, "_SECONDS", 0.1)
    with pytest.raises(ChecksError, match=r"sleep: .*timed out"):
        executables.run(["sleep", "60"])


def test_every_overlay_stands_in_the_documentation():
    page = (PROJECT / "docs" / "kubernetes.md").read_text("utf-8")
    overlays = [folder.name for folder in Tree().overlays if folder.parent.name == "overlays"]
    assert [name for name in overlays if f"](../k8s/overlays/{name})" not in page] == []


def test_one_page_has_the_command_that_goes_back_and_the_runbooks_lead_there():
    pages = sorted((PROJECT / "docs" / "runbooks").glob("*.md"))
    speaking = [page for page in pages if "former" in page.read_text("utf-8")]
    lost = [
        f"{page.name}: {line}"
        for page in speaking
        for line in page.read_text("utf-8").splitlines()
        if "put the former" in line and "](../roll-back.md)" not in line
    ]
    assert lost == []
    assert len([page for page in pages if "](../roll-back.md)" in page.read_text("utf-8")]) >= 6
    assert [page.name for page in pages if "export PIPELINE --use" in page.read_text("utf-8")] == []
