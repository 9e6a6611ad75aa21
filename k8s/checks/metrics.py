"""Checks that every metric in a query is exported by some component."""

from collections.abc import Iterator

from k8s.checks import queries
from k8s.checks.exceptions import Exceptions, unused
from k8s.checks.rendering import Rendered
from k8s.checks.tree import Tree
from k8s.monitoring import expressions


def problems(
    tree: Tree, rendered: Rendered, scraped: set[str], exceptions: Exceptions
) -> Iterator[str]:
    """Names in rules, autoscalers, canaries and dashboards that no scrape and no rule brings."""
    known = scraped | queries.recorded(rendered)
    asked = [
        *queries.scaler_queries(tree, rendered),
        *queries.analysis_queries(rendered),
        *queries.rule_queries(rendered),
        *queries.dashboard_queries(tree),
    ]
    used = set()
    for query in asked:
        for name in sorted(expressions.metrics(query.expression) - known):
            if name in exceptions.not_scraped:
                used.add(name)
            else:
                yield (
                    f"{query.where}: nothing counts {name}; correct the name, or say under "
                    "not_scraped what does"
                )
    yield from unused(exceptions.not_scraped, used, "not_scraped")
