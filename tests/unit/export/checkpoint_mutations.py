"""Random changes of checkpoints: what training scripts, copies and accidents make of them."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from export.quiet import quiet
from tests.unit.export.checkpoint_layouts import LAYOUTS, State, prefixed

_FLOATS = (torch.float16, torch.bfloat16, torch.float64)
_OTHERS = (torch.int8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn)


@dataclass
class Mutant:
    """A checkpoint on its way from a state dict to a file."""

    state: State
    """As it is saved."""
    truth: State
    """What the network that was trained computes with."""
    names: tuple[str, ...]
    """The class of each of the network's outputs."""
    layout: Callable[[State], Any] = dict
    beside: dict[str, Any] = field(default_factory=dict)
    """What is said beside the weights."""
    form: str = "zip"
    damage: Callable[[bytes], bytes] = bytes
    steps: list[str] = field(default_factory=list)


def _some_key(mutant: Mutant, chance: random.Random) -> str:
    return chance.choice([k for k, v in mutant.state.items() if v.is_floating_point()])


def cast_all(mutant: Mutant, chance: random.Random) -> None:
    dtype = chance.choice(_FLOATS)
    for part in (mutant.state, mutant.truth):
        part |= {k: v.to(dtype) for k, v in part.items() if v.is_floating_point()}


def cast_one(mutant: Mutant, chance: random.Random) -> None:
    key = _some_key(mutant, chance)
    mutant.state[key] = mutant.state[key].to(chance.choice(_OTHERS))


def set_one_number(mutant: Mutant, chance: random.Random) -> None:
    key = _some_key(mutant, chance)
    spoilt = mutant.state[key].clone()
    spoilt.view(-1)[chance.randrange(spoilt.numel())] = chance.choice([torch.nan, torch.inf, 1e35])
    mutant.state[key] = spoilt


def zero_the_head(mutant: Mutant, _: random.Random) -> None:
    key = [k for k, v in mutant.state.items() if v.ndim > 1][-1]
    mutant.state[key] = torch.zeros_like(mutant.state[key])


def reshape_one(mutant: Mutant, chance: random.Random) -> None:
    key = _some_key(mutant, chance)
    tensor = mutant.state[key]
    mutant.state[key] = chance.choice([tensor[None], torch.cat([tensor, tensor]), tensor[:0]])


def drop_some(mutant: Mutant, chance: random.Random) -> None:
    for key in chance.sample(sorted(mutant.state), chance.randint(1, 3)):
        # A counter of training steps is not needed: without it the network is the same.
        del mutant.state[key]


def add_one(mutant: Mutant, chance: random.Random) -> None:
    key = chance.choice(["loss.weight", "total_ops", "head.scale", "n_averaged"])
    mutant.state[key] = torch.ones(())


def rename_one(mutant: Mutant, chance: random.Random) -> None:
    key = _some_key(mutant, chance)
    mutant.state[f"{key}_orig"] = mutant.state.pop(key)


def prefix_all(mutant: Mutant, chance: random.Random) -> None:
    prefix = chance.choice(["module.", "model.", "net.", "_orig_mod.", "a.b.", "ema."])
    mutant.state = prefixed(prefix, mutant.state)


def prefix_half(mutant: Mutant, chance: random.Random) -> None:
    prefix = chance.choice(["module.", "model.", "_orig_mod."])
    mutant.state = {
        (prefix + key if chance.random() < 0.5 else key): value
        for key, value in mutant.state.items()
    }


def shuffle(mutant: Mutant, chance: random.Random) -> None:
    keys = list(mutant.state)
    chance.shuffle(keys)
    mutant.state = {key: mutant.state[key] for key in keys}


def nest(mutant: Mutant, chance: random.Random) -> None:
    mutant.layout = chance.choice(LAYOUTS).write


def say_classes(mutant: Mutant, chance: random.Random) -> None:
    """The order of the outputs, told in one of many ways; then it is what the truth goes by."""
    names = list(mutant.names)
    chance.shuffle(names)
    mutant.names = tuple(names)
    numbered = dict(enumerate(names))
    by_name = {name: index for index, name in numbered.items()}
    key, value = chance.choice(
        [
            ("classes", names),
            ("class_names", tuple(names)),
            ("class_to_idx", by_name),
            ("idx_to_class", numbered),
            ("id2label", {str(index): name for index, name in numbered.items()}),
            ("names", numbered),
            ("meta", {"CLASSES": names}),
            ("hyper_parameters", {"classes": names}),
        ]
    )
    mutant.beside[key] = value


def say_preprocessing(mutant: Mutant, chance: random.Random) -> None:
    """Another one than the pipeline's."""
    mutant.beside |= chance.choice(
        [
            {"mean": [0.5, 0.5, 0.5]},
            {"args": {"img_size": 999}},
            {"pretrained_cfg": {"interpolation": "bicubic"}},
        ]
    )


def save_otherwise(mutant: Mutant, chance: random.Random) -> None:
    mutant.form = chance.choice(["legacy", "safetensors"])


def damage(mutant: Mutant, chance: random.Random) -> None:
    """Flips bits in the records of a zip, or cuts any format short."""
    place = chance.uniform(0.3, 0.95)
    if chance.random() < 0.5 or mutant.form != "zip":
        mutant.damage = lambda content: content[: int(len(content) * place)]
        return

    def flip(content: bytes) -> bytes:
        spoilt = bytearray(content)
        for step in range(64):
            spoilt[(int(len(content) * place) + step) % len(content)] ^= 0x10
        return bytes(spoilt)

    mutant.damage = flip


HARMLESS = (cast_all, prefix_all, shuffle, save_otherwise, say_classes, nest)
"""Those after which a checkpoint may still be served."""
MUTATIONS = (
    *HARMLESS,
    cast_one,
    set_one_number,
    zero_the_head,
    reshape_one,
    drop_some,
    add_one,
    rename_one,
    prefix_half,
    say_preprocessing,
    damage,
)


def mutate(seed: int, state: State, names: tuple[str, ...], changes: int = 3) -> Mutant:
    """One to `changes` random changes, the first ones harmless; the same seed gives the same."""
    chance = random.Random(seed)
    mutant = Mutant(dict(state), dict(state), names)
    chosen = chance.sample(HARMLESS, chance.randint(1, changes))
    if chance.random() < 0.5:
        chosen[-1] = chance.choice(MUTATIONS)
    for change in chosen:
        change(mutant, chance)
        mutant.steps.append(change.__name__)
    return mutant


def write(mutant: Mutant, path: Path) -> None:
    """Saves a mutant; what safetensors cannot hold is saved as a zip."""
    with quiet():
        if mutant.form == "safetensors":
            tensors = {k: v.contiguous().clone() for k, v in mutant.state.items()}
            metadata = {key: json.dumps(value) for key, value in mutant.beside.items()}
            save_file(tensors, path, metadata=metadata)
        else:
            data = mutant.layout(mutant.state)
            if mutant.beside:
                plain = not isinstance(data, Mapping) or any(
                    isinstance(value, torch.Tensor) for value in data.values()
                )
                data = {"state_dict": data} | mutant.beside if plain else data | mutant.beside
            torch.save(data, path, _use_new_zipfile_serialization=mutant.form == "zip")
    path.write_bytes(mutant.damage(path.read_bytes()))
