"""The paths of the checked files, below a root that tests replace."""

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".cache"
"""Tools that are fetched, not installed."""


@dataclass(frozen=True)
class Tree:
    """A checkout."""

    root: Path = PROJECT

    @property
    def k8s(self) -> Path:
        """The manifests."""
        return self.root / "k8s"

    @property
    def overlays(self) -> list[Path]:
        """Each one that can be applied; also what monitors them."""
        folders = sorted(file.parent for file in self.k8s.glob("overlays/*/kustomization.yaml"))
        monitoring = self.k8s / "monitoring"
        return [*folders, *([monitoring] if (monitoring / "kustomization.yaml").exists() else [])]

    @property
    def dockerfiles(self) -> list[Path]:
        """Each component's, and that of the models."""
        patterns = ("*/Dockerfile", "k8s/components/*/Dockerfile")
        return sorted(file for pattern in patterns for file in self.root.glob(pattern))

    @property
    def workflows(self) -> list[Path]:
        """The published ones."""
        return sorted((self.root / ".github" / "workflows").glob("*.yaml"))

    @property
    def adapter(self) -> Path:
        """The Prometheus adapter's rules, which are no manifest."""
        return self.k8s / "components" / "hpa" / "prometheus-adapter.yaml"
