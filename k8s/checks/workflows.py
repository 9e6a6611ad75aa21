"""Checks the published workflows: actionlint, zizmor, and a version beside each commit."""

import json
import re
from collections.abc import Iterator

from k8s.checks import executables
from k8s.checks.errors import ChecksError
from k8s.checks.tree import Tree

_UNNAMED = re.compile(r"uses: \S+@[0-9a-f]{40}(?! # v\d)")


def problems(tree: Tree) -> Iterator[str]:
    """What GitHub would not understand, what makes a workflow unsafe, and commits of no version.

    Raises:
        ChecksError: actionlint or zizmor is missing, or zizmor says nothing that can be read.
    """
    command = [str(executables.actionlint()), "-oneline", "-shellcheck=", "-pyflakes="]
    ended = executables.run([*command, *map(str, tree.workflows)])
    for line in (ended.stdout + ended.stderr).splitlines():
        yield line.removeprefix(f"{tree.root}/")
    yield from _audited(tree)
    for file in tree.workflows:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            if _UNNAMED.search(line):
                where = f"{file.relative_to(tree.root)}:{number}"
                yield f"{where}: {line.strip()}: say behind it which version that is"


def _audited(tree: Tree) -> Iterator[str]:
    words = ["--offline", "--no-progress", "--quiet", "--min-severity=medium", "--format=json"]
    ended = executables.run([str(executables.zizmor()), *words, str(tree.root / ".github")])
    try:
        findings = json.loads(ended.stdout)
    except ValueError:
        raise ChecksError(f"zizmor: no report: {ended.stderr.strip()[-2000:]}") from None
    for finding in findings:
        for place in finding["locations"]:
            if place["symbolic"]["kind"] == "Primary":
                file = place["symbolic"]["key"]["Local"]["verbatim_path"]
                where = file.removeprefix(f"{tree.root}/")
                line = place["concrete"]["location"]["start_point"]["row"] + 1
                what = place["concrete"]["feature"].partition("\n")[0]
                yield f"{where}:{line}: {what}: {finding['desc']} ({finding['url']})"
