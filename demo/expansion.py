"""Turns the small committed checkpoints of a pipeline into checkpoints that the export reads.

Networks that were trained narrow are widened: the same function, in the architecture that is
served. All others are exported as they are.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from demo.figures import CHECKPOINTS
from demo.recipes import recipe_for
from demo.subject import subject_for
from export import architectures, checkpoint
from export.errors import ExportError
from export.graph import ServedMember
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

# Drawings on which a widened network is compared with the narrow one.
_COMPARED = 4
_SEED = 0


class NoDemoWeightsError(ExportError):
    """A pipeline or a member without a committed checkpoint."""


def exportable(spec: PipelineSpec, members: Iterable[str], scratch: Path) -> dict[str, Path]:
    """A checkpoint for each of these members, in FP32 where it had to be widened.

    Args:
        spec: facts that have the members.
        members: each with a checkpoint of its own.
        scratch: a folder for widened checkpoints.

    Raises:
        NoDemoWeightsError: there is none.
        CheckpointError: one is broken, or does not fit the pipeline.
        WideningError: a widened network does not compute what the narrow one does.
    """
    return {name: _expanded(spec, name, _small(spec, name), scratch) for name in members}


def narrow(spec: PipelineSpec, name: str) -> ServedMember:
    """A classifier's committed network as it was trained, in eval mode.

    Raises:
        NoDemoWeightsError: there is none.
        CheckpointError: it is broken, or does not fit the pipeline.
    """
    recipe = recipe_for(spec.members[name].architecture)
    with torch.random.fork_rng(devices=[]):
        member = ServedMember(recipe.start(spec.logits(name)), spec.preprocessing).eval()
    checkpoint.read(_small(spec, name)).load_into(member.model, spec.classes)
    return member


def _small(spec: PipelineSpec, name: str) -> Path:
    folder = CHECKPOINTS / spec.name
    for path in (folder / f"{name}.safetensors", folder / name):
        if path.exists():
            return path
    raise NoDemoWeightsError(
        f"{spec.name}: {folder} has no demo weights of {name}; give a checkpoint of your own: "
        f"python -m export {spec.name} --checkpoint {name}=FILE"
    )


def _expanded(spec: PipelineSpec, name: str, small: Path, scratch: Path) -> Path:
    if spec.task is not Task.CLASSIFICATION:
        return small
    architecture, logits = spec.members[name].architecture, spec.logits(name)
    recipe = recipe_for(architecture)
    if recipe.finish is None:
        return small
    height, width = spec.preprocessing.size or (0, 0)
    drawings, _ = subject_for(spec).dataset(_COMPARED, _SEED, width, height)
    with torch.random.fork_rng(devices=[]):
        wide = ServedMember(architectures.build(architecture, logits), spec.preprocessing).eval()
    generator = torch.Generator().manual_seed(_SEED)
    recipe.finish(narrow(spec, name), wide, torch.from_numpy(drawings), generator)
    path = scratch / f"{name}.safetensors"
    state = {key: value.contiguous() for key, value in wide.model.state_dict().items()}
    save_file(state, path, metadata={"weights": "demo", "classes": json.dumps(spec.classes)})
    return path
