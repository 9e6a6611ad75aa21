"""`python -m k8s.checks`: runs all checks of the manifests and prints their findings."""

import sys
import time
from collections.abc import Callable, Iterable

from k8s.checks import (
    autoscaling,
    canary,
    chart,
    conventions,
    dockerfiles,
    drain,
    facts,
    memory,
    metrics,
    models,
    policies,
    probes,
    promtool,
    references,
    rendering,
    schemas,
    scrape,
    split,
    traffic,
    workflows,
)
from k8s.checks.errors import ChecksError
from k8s.checks.exceptions import Exceptions
from k8s.checks.tree import Tree


def main() -> int:
    """Makes every check; 1 where one fails."""
    tree = Tree()
    started = time.monotonic()
    try:
        exceptions = Exceptions.read()
        rendered = rendering.render(tree)
    except ChecksError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    versions = ", ".join(schemas.VERSIONS)
    passed = [
        _tell(f"render: {len(tree.overlays)} overlays", rendered.problems, started),
        _check(f"schemas: Kubernetes {versions}, strict", lambda: schemas.problems(rendered)),
        _check("conventions", lambda: conventions.problems(rendered)),
        _check("references", lambda: references.problems(rendered, exceptions)),
        _check("facts", lambda: facts.problems(rendered)),
        _check("memory", lambda: memory.problems(rendered)),
        _check("models", lambda: models.problems(rendered)),
        _check("traffic", lambda: traffic.problems(rendered)),
        _check("drain", lambda: drain.problems(rendered)),
        _check("autoscaling", lambda: autoscaling.problems(tree, rendered)),
        _check("canary", lambda: canary.problems(rendered)),
        _check("split", lambda: split.problems(rendered)),
        _check("chart", lambda: chart.problems(tree, rendered)),
        _check("promtool", lambda: promtool.problems(tree, rendered)),
        _check("checkov", lambda: policies.problems(rendered, exceptions)),
        _check("hadolint", lambda: dockerfiles.problems(tree, rendered, exceptions)),
        _check("workflows", lambda: workflows.problems(tree)),
        _check("a real scrape", lambda: _against_the_service(tree, rendered, exceptions)),
    ]
    return 0 if all(passed) else 1


def _against_the_service(
    tree: Tree, rendered: rendering.Rendered, exceptions: Exceptions
) -> Iterable[str]:
    service = scrape.here()
    yield from metrics.problems(tree, rendered, service.metrics(), exceptions)
    yield from probes.problems(rendered, service)


def _check(name: str, problems: Callable[[], Iterable[str]]) -> bool:
    started = time.monotonic()
    try:
        found = list(problems())
    except ChecksError as error:
        found = [str(error)]
    except KeyError as error:
        # A check reads what every manifest of its kind has; the schemas, above, say where not.
        found = [f"an object has no {error}; add it"]
    return _tell(name, found, started)


def _tell(name: str, found: list[str], started: float) -> bool:
    seconds = time.monotonic() - started
    sys.stdout.write(f"{'FAIL' if found else 'ok':5} {name} ({seconds:.1f} s)\n")
    for problem in found:
        sys.stdout.write(f"      {problem}\n")
    sys.stdout.flush()
    return not found


if __name__ == "__main__":
    sys.exit(main())
