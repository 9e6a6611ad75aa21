"""Lints and renders a chart by Helm's own library; run by the Python that has it, not by ours.

Reads JSON from standard input: `chart`, a folder, and `cases`, values by name. Writes JSON: `lint`,
what the linter says of the first case, and `cases`, each `text` or `error`.
"""

import json
import sys
from typing import Any

import helm_python as helm  # type: ignore[import-not-found]


def main() -> None:
    """Lints and renders."""
    asked = json.load(sys.stdin)
    first = next(iter(asked["cases"].values()))
    report = helm.lint(asked["chart"], first, strict=True)
    cases = {name: _rendered(asked, values) for name, values in asked["cases"].items()}
    # 1 is advice.
    lint = [
        f"{each['path']}: {each['error']}" for each in report["messages"] if each["severity"] > 1
    ]
    json.dump({"lint": lint, "cases": cases}, sys.stdout)


def _rendered(asked: dict[str, Any], values: dict[str, Any]) -> dict[str, str]:
    try:
        with helm.Chart.load(asked["chart"]) as chart:
            files = chart.render(values, name="second-opinion", namespace=asked["namespace"])
    except helm.HelmError as error:
        return {"error": str(error)}
    return {"text": "\n---\n".join(files[name] for name in sorted(files))}


if __name__ == "__main__":
    main()
