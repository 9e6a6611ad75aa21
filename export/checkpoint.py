"""Reads the weights of a checkpoint, in the layouts that training scripts use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from export.checkpoint_file import CheckpointFile, open_file
from export.errors import CheckpointError
from export.key_fit import KeyFit
from export.read_options import AS_THE_FILE_SAYS, ReadOptions, Weights
from export.state_dicts import ChoiceError, StateDict, choose, find
from export.stated_preprocessing import compare
from export.weight_values import WeightError, checked
from pipelines.manifest import sha256_of
from pipelines.preprocessing import Preprocessing

_LISTED = 8
_COUNTER = ".num_batches_tracked"
"""Ending of the keys of batch normalisation's counters of steps, which only training reads."""


@dataclass(frozen=True)
class Loaded:
    """Which weights of a checkpoint a network was filled with."""

    weights: Weights
    place: str
    """Where they stand in the checkpoint; "" where the file is the state dict itself."""
    notes: tuple[str, ...]
    """What was converted, and what could not be checked: a sentence each."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's weights and what it says of itself."""

    file: CheckpointFile
    sha256: str
    found: tuple[StateDict, ...]
    """All state dicts in it, but those of optimisers."""
    options: ReadOptions
    weights: Literal["trained", "demo"]

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def keys(self) -> set[str]:
        """Of all its state dicts, without what wrappers put there."""
        return {key for each in self.found for key in each.tensors}

    def load_into(
        self,
        model: nn.Module,
        classes: tuple[str, ...],
        *,
        preprocessing: Preprocessing | None = None,
        architecture: str | None = None,
        rename: Callable[[str], str] = str,
    ) -> Loaded:
        """Fills a model's weights.

        Args:
            model: FP32, with all its weights.
            classes: the pipeline's, for messages.
            preprocessing: the pipeline's, to be compared with what the checkpoint says of its own.
            architecture: the model's name, for messages.
            rename: the model's key for one of the checkpoint.

        Raises:
            CheckpointError: it is not clear which weights are meant; they do not fit the model, or
                are damaged; or the file says another preprocessing.
        """
        own = model.state_dict()
        try:
            chosen = choose(self.found, set(own), self.options.weights)
            tensors = {rename(key): value for key, value in chosen.tensors.items()}
            tensors |= {key: own[key] for key in own if key.endswith(_COUNTER)}
            fit = KeyFit(
                found={key: tuple(value.shape) for key, value in tensors.items()},
                expected={key: tuple(value.shape) for key, value in own.items()},
                beside=chosen.beside,
                architecture=architecture,
                classes=len(classes),
            )
            problem = chosen.problem or fit.problem()
            if problem:
                raise CheckpointError(f"{self.path}: {problem}")
            fine, notes = checked(tensors, own)
        except (ChoiceError, WeightError) as error:
            raise CheckpointError(f"{self.path}: {error}") from None
        model.load_state_dict(fine)
        if not self.file.has_checksums:
            notes.append("its format has no checksums: only sizes and values could be checked")
        if preprocessing is not None:
            notes += compare(self.file, preprocessing, self.options)
        return Loaded(Weights.EMA if chosen.averaged else Weights.RAW, chosen.place, tuple(notes))


def read(path: Path, options: ReadOptions = AS_THE_FILE_SAYS) -> Checkpoint:
    """Reads a checkpoint file: a bare state dict, a nested one, or safetensors.

    Raises:
        CheckpointError: the file cannot be opened (`checkpoint_file`), or holds no state dict.
    """
    file = open_file(path)
    data = file.contents
    found = find(file.contents)
    if not found:
        raise CheckpointError(
            f"{path}: no state dict in it (keys: {', '.join(map(str, list(data)[:_LISTED]))}): "
            "save model.state_dict()"
        )
    return Checkpoint(
        file=file,
        sha256=sha256_of(path),
        found=tuple(found),
        options=options,
        weights="demo"
        if "demo" in (data.get("weights"), file.metadata.get("weights"))
        else "trained",
    )
