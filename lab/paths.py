"""The paths of the project and of the lab's cache."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
"""Photos, environments of other servers, logs and run-time files."""
