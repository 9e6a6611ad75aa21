"""`python -m export`, as users run it."""

import os
import subprocess
import sys

from tests.integration.service import ROOT


def export(*arguments: str) -> None:
    """Runs it. A second thread of PyTorch would have no core beside the services of other tests."""
    subprocess.run(
        [sys.executable, "-m", "export", *arguments],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, timeout=900,
    )  # fmt: skip
