"""Checkpoints of demo weights, kept so that members of another profile need no new training."""

import hashlib
import shutil
from pathlib import Path

from export.repository import ModelRepository
from pipelines import atomic_write, protocol
from pipelines.manifest import Manifest, ManifestError, sha256_of
from pipelines.spec import PipelineSpec

FOLDER = Path(__file__).parents[1] / "checkpoints" / "demo"


def place(spec: PipelineSpec, origins: list[str], seed: int) -> Path:
    """Where checkpoints of these members are kept: other facts or another seed, another folder."""
    facts = "".join([str(seed), *(spec.member_hash(name) for name in origins)])
    return FOLDER / f"{spec.name}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def find(folder: Path, origins: list[str]) -> dict[str, Path]:
    """The checkpoints that are kept in a folder by member; empty unless all are there."""
    files = {name: folder / f"{name}.pt" for name in origins}
    return files if all(path.is_file() for path in files.values()) else {}


def keep(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Copies checkpoints to a folder, each in one step; returns the copies."""
    kept = {}
    for name, path in files.items():
        kept[name] = folder / f"{name}.pt"
        with atomic_write.replacing(kept[name]) as beside:
            shutil.copy(path, beside)
    return kept


def newest(spec: PipelineSpec, member: str, repository: ModelRepository) -> Manifest | None:
    """The manifest of a member's newest version, if it has one that can be read."""
    model = protocol.member_model(spec.name, member)
    if not (versions := repository.versions(model)):
        return None
    try:
        return Manifest.read(repository.root / model / str(versions[-1]))
    except ManifestError:
        return None


def outdated(spec: PipelineSpec, files: dict[str, Path], repository: ModelRepository) -> list[str]:
    """The members of a spec whose newest version does not come from these checkpoints."""
    manifests = {name: newest(spec, name, repository) for name in spec.members}
    return [
        name
        for name, manifest in manifests.items()
        if manifest is None
        or manifest.member_hash != spec.member_hash(name)
        or not _made_from(files[spec.origin(name)], manifest)
    ]


def _made_from(checkpoint: Path, manifest: Manifest) -> bool:
    """Never of a detector's checkpoint: several files, of which the manifest has one hash."""
    return checkpoint.is_file() and manifest.checkpoint_sha256 == sha256_of(checkpoint)
