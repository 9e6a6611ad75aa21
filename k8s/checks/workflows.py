"""Checks the published workflows: actionlint, and actions named by commit."""

import re
from collections.abc import Iterator

from k8s.checks import executables
from k8s.checks.tree import Tree

_USES = re.compile(r"^\s*(?:- )?uses: (\S+)(?: # (v\d[\w.]*))?$")
_COMMIT = re.compile(r"^[\w./-]+@[0-9a-f]{40}$")


def problems(tree: Tree) -> Iterator[str]:
    """What GitHub would not understand, and actions that may become others.

    Raises:
        ChecksError: actionlint is missing.
    """
    command = [str(executables.actionlint()), "-oneline", "-shellcheck=", "-pyflakes="]
    ended = executables.run([*command, *map(str, tree.workflows)])
    for line in (ended.stdout + ended.stderr).splitlines():
        yield line.removeprefix(f"{tree.root}/")
    for file in tree.workflows:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            if "uses:" in line and (problem := _pinned(line)):
                yield f"{file.relative_to(tree.root)}:{number}: {problem}"


def _pinned(line: str) -> str | None:
    found = _USES.match(line)
    if found is None:
        return f"{line.strip()}: write `uses: OWNER/NAME@COMMIT # v1.2.3`"
    action, version = found.groups()
    if action.startswith("./"):
        return None
    if not _COMMIT.match(action):
        return f"{action} is named by what its owner may move; name its commit"
    return None if version else f"{action}: say behind it which version that is"
