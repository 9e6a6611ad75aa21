"""Runs promtool on the rules, their tests, and the autoscalers' and canaries' queries."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from k8s.checks.errors import ChecksError
from k8s.checks.queries import analysis_queries, scaler_queries
from k8s.checks.rendering import Rendered
from k8s.checks.tree import Tree
from k8s.monitoring import promtool, rule_files
from k8s.monitoring.prometheus import MissingPrometheusError


def problems(tree: Tree, rendered: Rendered) -> Iterator[str]:
    """What promtool says.

    Raises:
        ChecksError: there is no promtool.
    """
    monitoring = tree.k8s / "monitoring"
    source, tests = monitoring / "rules", monitoring / "tests"
    with tempfile.TemporaryDirectory(prefix="k8s-checks-") as folder:
        scratch = Path(folder)
        rules = rule_files.write(scratch / "rules", source=source)
        if not rules:
            yield "k8s/monitoring/rules: there are no rules"
        queries = _as_rules(tree, rendered, scratch)
        tested = scratch / "tested"
        tested.mkdir()
        yield from _judged("monitoring/rules", lambda: promtool.check(rules))
        yield from _judged(
            "the autoscalers' and canaries' queries", lambda: promtool.check([queries])
        )
        yield from _judged("monitoring/tests", lambda: promtool.run_tests(tested, tests, source))


def _judged(what: str, judge: Callable[[], None]) -> Iterator[str]:
    try:
        judge()
    except MissingPrometheusError as error:
        raise ChecksError(str(error)) from None
    except promtool.RulesError as error:
        yield f"{what}: promtool: {error}"


def _as_rules(tree: Tree, rendered: Rendered, folder: Path) -> Path:
    queries = [*scaler_queries(tree, rendered), *analysis_queries(rendered)]
    rules = [
        {"record": f"query:{number}", "expr": query.expression}
        for number, query in enumerate(queries)
    ]
    file = folder / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "scalers", "rules": rules}]}), "utf-8")
    return file
