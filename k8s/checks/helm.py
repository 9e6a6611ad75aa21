"""Lints and renders a chart by Helm's own library; run by the Python that has it, not by ours.

Reads JSON from standard input: `chart`, a folder, and `cases`, values by name. Writes JSON: `lint`,
what the linter says of the first case, and `cases`, each `text` or `error`.
"""

import json
import sys

import helm_python as helm  # type: ignore[import-not-found]


def main() -> None:
    """Lints and renders."""
    asked = json.load(sys.stdin)
    first = next(iter(asked["cases"].values()))
    report = helm.lint(asked["chart"], first, strict=True)
    cases = {}
    with helm.Chart.load(asked["chart"]) as chart:
        for name, values in asked["cases"].items():
            try:
                files = chart.render(values, name="second-opinion", namespace=asked["namespace"])
            except helm.HelmError as error:
                cases[name] = {"error": str(error)}
            else:
                texts = (text for file, text in sorted(files.items()) if file.endswith(".yaml"))
                cases[name] = {"text": "\n---\n".join(texts)}
    # 1 is advice.
    lint = [
        f"{each['path']}: {each['error']}" for each in report["messages"] if each["severity"] > 1
    ]
    json.dump({"lint": lint, "cases": cases}, sys.stdout)


if __name__ == "__main__":
    main()
