"""Finds the state dicts in a checkpoint, and chooses the one that a network is filled with."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from export.read_options import Weights

_OPTIMISER = re.compile(r"optim|sched|scaler|^amp$|grad", re.IGNORECASE)
_AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|averaged?|averaging|shadow|polyak)([._]|$)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts of a key's path that DataParallel, torch.compile, FSDP and checkpointing put there."""
_SWA_COUNTER = "n_averaged"
_DEPTH = 5
_RELEVANT = 0.25
"""Share of a network's keys from which on a state dict is one of this network."""


class ChoiceError(ValueError):
    """It is not clear which weights are meant, or those asked for are not there."""


@dataclass(frozen=True)
class StateDict:
    """Tensors of one network."""

    place: str
    """Where they stand in the checkpoint, e.g. `state_dict_ema` or `state_dict: model.`; "" where
    the file is the state dict itself."""
    tensors: Mapping[str, torch.Tensor]
    """By key, without wrappers and without the prefix of the place."""
    averaged: bool
    beside: tuple[str, ...] = ()
    """Keys of the same state dict that belong to no network of this kind."""
    problem: str | None = None
    """Why it cannot be served whatever the network."""

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.place or "the file itself"


def find(contents: Mapping[str, Any]) -> list[StateDict]:
    """All state dicts in what a training script saved, but those of optimisers."""
    return list(_find(contents, ""))


def choose(found: Iterable[StateDict], keys: set[str], wanted: Weights | None) -> StateDict:
    """The state dict that a network is filled with.

    Args:
        found: all of a checkpoint, one at least.
        keys: those of the network.
        wanted: which weights, where there are several.

    Raises:
        ChoiceError: several state dicts of this network, or none of those wanted.
    """
    found = list(found)
    relevant = [part for each in found for part in _parts(each, keys)]
    if not relevant:
        # Of another network: the largest is what the message should speak of.
        return max(found, key=lambda each: len(each.tensors))
    relevant += _foreign_averages(found, keys)
    chosen = [
        each for each in relevant if wanted is None or each.averaged == (wanted is Weights.EMA)
    ]
    if not chosen:
        kind = "raw" if wanted is Weights.RAW else "averaged"
        raise ChoiceError(
            f"holds no {kind} weights, only {_names(relevant)}: leave out --weights {wanted}"
        )
    chosen = _distinct(chosen)
    if len(chosen) == 1:
        return chosen[0]
    raw = [each for each in chosen if not each.averaged]
    averaged = [each for each in chosen if each.averaged]
    if len(raw) == len(averaged) == 1:
        raise ChoiceError(
            f"holds raw weights ({_names(raw)}) and averaged ones ({_names(averaged)}), which "
            "answer differently: say which are served with --weights raw or --weights ema"
        )
    raise ChoiceError(
        f"holds {len(chosen)} state dicts of this network ({_names(chosen)}), which answer "
        "differently: save the one that is to be served alone"
    )


def _find(data: Mapping[Any, Any], place: str, depth: int = 0) -> Iterator[StateDict]:
    tensors = {
        key: value
        for key, value in data.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    if tensors:
        yield _unwrapped(tensors, place)
    if depth == _DEPTH:
        return
    for key, value in data.items():
        if not isinstance(key, str) or (_OPTIMISER.search(key) and not _is_averaged(key)):
            continue
        inner = f"{place}.{key}" if place else key
        if isinstance(value, Mapping):
            yield from _find(value, inner, depth + 1)
        elif isinstance(value, list | tuple):
            if _is_averaged(inner) and any(isinstance(each, torch.Tensor) for each in value):
                yield _nameless(inner, value)
            for index, each in enumerate(value):
                if isinstance(each, Mapping):
                    yield from _find(each, f"{inner}.{index}", depth + 1)


def _nameless(place: str, tensors: Iterable[Any]) -> StateDict:
    """An average that was saved as a list, whose tensors have no names."""
    return StateDict(
        place,
        {f"{index}": each for index, each in enumerate(tensors) if isinstance(each, torch.Tensor)},
        averaged=True,
        problem=f"{place} is a list of tensors without names: copy the average into the model in "
        "the training environment, and save model.state_dict()",
    )


def _unwrapped(tensors: Mapping[str, torch.Tensor], place: str) -> StateDict:
    """A state dict without the parts that wrappers put into its keys."""
    swa = _SWA_COUNTER in tensors
    keys = [key for key in tensors if key != _SWA_COUNTER]
    plain = {key: ".".join(p for p in key.split(".") if p not in _WRAPPERS) for key in keys}
    wrapped = [key for key in keys if key.removeprefix("_orig_mod.").startswith("module.")]
    problem = None
    if (wrapped and len(wrapped) < len(keys)) or len(set(plain.values())) < len(keys):
        problem = (
            "holds keys with and without `module.`, so that it is not clear which are meant: "
            "save model.module.state_dict() alone"
        )
    named = {plain[key]: tensors[key] for key in keys}
    return StateDict(place, named, averaged=swa or _is_averaged(place), problem=problem)


def _parts(whole: StateDict, keys: set[str]) -> Iterator[StateDict]:
    """Of one state dict those of a network: one, or several beside each other under prefixes."""
    if whole.problem and (whole.averaged or _share(whole.tensors, keys) >= _RELEVANT):
        yield whole
        return
    counts: Counter[str] = Counter()
    for key in whole.tensors:
        parts = key.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in keys:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    # An inner prefix is found within an outer one too, as `a.b.` within `a.`: each key once.
    prefixes = [prefix for prefix, count in counts.items() if count >= _RELEVANT * len(keys)]
    groups: dict[str, dict[str, torch.Tensor]] = {prefix: {} for prefix in prefixes}
    beside = []
    for key, tensor in whole.tensors.items():
        own = max((p for p in prefixes if key.startswith(p)), key=len, default=None)
        if own is None:
            beside.append(key)
        else:
            groups[own][key.removeprefix(own)] = tensor
    for prefix, tensors in groups.items():
        place = ": ".join(filter(None, [whole.place, prefix]))
        averaged = whole.averaged or _is_averaged(prefix)
        yield StateDict(place, tensors, averaged, tuple(beside), whole.problem)


def _foreign_averages(found: Iterable[StateDict], keys: set[str]) -> Iterator[StateDict]:
    """Averages under other names than the network's, as without dots: they are there as well."""
    for each in found:
        many = len(each.tensors) >= _RELEVANT * len(keys)
        if each.averaged and many and not each.problem and not list(_parts(each, keys)):
            problem = (
                f"the average under {each.place} has other keys than the network: copy it into the "
                "model in the training environment, and save model.state_dict()"
            )
            yield replace(each, problem=problem)


def _share(tensors: Iterable[str], keys: set[str]) -> float:
    return len(keys.intersection(tensors)) / len(keys)


def _distinct(found: Iterable[StateDict]) -> list[StateDict]:
    """Without those that are the same as another, number for number."""
    distinct: list[StateDict] = []
    for each in found:
        if not any(_same(each, other) for other in distinct):
            distinct.append(each)
    return distinct


def _same(one: StateDict, other: StateDict) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        one.tensors[key] is other.tensors[key] or _equal(one.tensors[key], other.tensors[key])
        for key in one.tensors
    )


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    try:
        return torch.equal(one, other)
    except (RuntimeError, NotImplementedError):
        return False  # of a kind that is refused anyhow: without values, quantised, sparse


def _is_averaged(place: str) -> bool:
    return bool(_AVERAGED.search(_CAMEL.sub("_", place).lower()))


def _names(found: Iterable[StateDict]) -> str:
    return ", ".join(each.name for each in found)
