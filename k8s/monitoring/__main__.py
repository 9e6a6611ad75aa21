"""`python -m k8s.monitoring FOLDER`: writes the rules for a Prometheus without the operator."""

import argparse
import sys
from pathlib import Path

from k8s.monitoring import rule_files


def main() -> int:
    """Writes the plain rule files; exit status 1 where that is impossible."""
    parser = argparse.ArgumentParser(prog="python -m k8s.monitoring", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write them")
    folder: Path = parser.parse_args().folder
    try:
        rule_files.write(folder)
    except OSError as error:
        sys.stderr.write(f"{folder}: {error.strerror}: choose a folder that can be written\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
