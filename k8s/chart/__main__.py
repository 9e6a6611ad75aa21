"""`python -m k8s.chart`: writes the chart's templates anew from the overlays."""

import shutil
import sys

from k8s.chart.templates import FOLDER, templates
from k8s.checks import rendering
from k8s.checks.errors import ChecksError
from k8s.checks.tree import Tree


def main() -> int:
    """Writes them; 1 where an overlay does not render."""
    try:
        rendered = rendering.render(Tree())
        written = templates(rendered)
    except ChecksError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    folder = Tree().root / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in written.items():
        (folder / name).write_text(text, "utf-8")
    sys.stdout.write(f"{FOLDER}: {len(written)} templates\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
