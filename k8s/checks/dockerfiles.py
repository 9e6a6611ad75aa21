"""Runs hadolint on the Dockerfiles."""

import json
from collections.abc import Iterator

from k8s.checks import executables
from k8s.checks.errors import ChecksError
from k8s.checks.exceptions import Exceptions, unused
from k8s.checks.rendering import Rendered
from k8s.checks.tree import Tree
from k8s.checks.workloads import workloads

_OURS = "second-opinion-"


def problems(tree: Tree, rendered: Rendered, exceptions: Exceptions) -> Iterator[str]:
    """Lines that hadolint warns of, but for those with a reason; images that nothing builds.

    Raises:
        ChecksError: hadolint is missing, or says nothing that can be read.
    """
    files = tree.dockerfiles
    # One configuration, so that a reason stands beside each exception.
    command = [str(executables.hadolint()), "--config", "/dev/null", "--format", "json"]
    ended = executables.run([*command, *map(str, files)])
    try:
        found = json.loads(ended.stdout)
    except ValueError:
        raise ChecksError(f"hadolint: no report: {ended.stderr.strip()}") from None
    used = set()
    for each in found:
        if each["code"] in exceptions.hadolint:
            used.add(each["code"])
        else:
            where = f"{each['file'].removeprefix(f'{tree.root}/')}:{each['line']}"
            yield f"{where}: {each['code']} {each['message']}"
    yield from unused(exceptions.hadolint, used, "hadolint")
    built = {f"{_OURS}{file.parent.name}" for file in files}
    for name in sorted(_images(rendered) - built):
        folder = name.removeprefix(_OURS)
        yield f"{name}: a manifest runs it, and there is no {folder}/Dockerfile"


def _images(rendered: Rendered) -> set[str]:
    """Names of the project's own images, without registry and tag."""
    images = {
        container["image"].rpartition("/")[2].partition("@")[0].partition(":")[0]
        for overlay in rendered.overlays
        for workload in workloads(overlay)
        for container in workload.containers
    }
    return {name for name in images if name.startswith(_OURS)}
