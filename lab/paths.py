"""Where the project and the lab's cache are."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
"""Photos, environments of other servers, logs and run-time files."""
