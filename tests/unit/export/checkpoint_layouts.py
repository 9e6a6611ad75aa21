"""Layouts of checkpoints, and what the export makes of each: cases of tests, and a table of docs.

`python -m tests.unit.export.checkpoint_layouts` writes it, and that of class_layouts.py, into
docs/export.md.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.unit.export import class_layouts

DOCS = Path(__file__).parents[3] / "docs" / "export.md"
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Layout:
    """How a training script saves the weights of a network."""

    holds: str
    """In words of the documentation."""
    write: Callable[[State], Any]
    """What is saved, of a state dict."""
    refused: str = ""
    """Part of the refusal; "" where it is read."""
    choosable: bool = False
    """Whether `--weights raw` and `--weights ema` each give one of its state dicts."""


def other(state: State) -> State:
    """Other weights of the same network, as another epoch or an average has them."""
    return {
        key: value * 0.5 if value.is_floating_point() else value.clone()
        for key, value in state.items()
    }


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def without(ending: str, state: State) -> State:
    return {key: value for key, value in state.items() if not key.endswith(ending)}


def _inner(state: State) -> State:
    """Compiled in its inner modules only."""
    return {key.replace("body.", "body._orig_mod."): value for key, value in state.items()}


def _half(state: State) -> State:
    return {key if "body" in key else f"module.{key}": value for key, value in state.items()}


def _both(state: State) -> State:
    return state | prefixed("module.", other(state))


def _nest(*keys: str) -> Callable[[State], Any]:
    """The first key has the weights, the others have other ones."""

    def write(state: State) -> Any:
        return {key: other(state) if place else state for place, key in enumerate(keys)}

    return write


_EMA = "--weights raw or --weights ema"
_SEVERAL = "state dicts of this network"
_OPTIMISER = {"state": {0: {"step": torch.tensor(9.0), "exp_avg": torch.zeros(9)}}, "lr": 0.1}

LAYOUTS = (
    Layout("`model.state_dict()` itself", lambda state: state),
    *(
        Layout(f"under `{key}`", _nest(key))
        for key in ("state_dict", "model_state_dict", "model", "net", "weights")
    ),
    Layout(
        "under `model`, with `optimizer`, `epoch` and `args`",
        lambda state: {
            "model": state,
            "optimizer": _OPTIMISER,
            "epoch": 3,
            "args": argparse.Namespace(lr=0.1),
        },
    ),
    Layout("under `checkpoint.model`", lambda state: {"checkpoint": {"model": state}}),
    Layout("keys begin with `module.` (DataParallel)", lambda s: prefixed("module.", s)),
    Layout("keys begin with `_orig_mod.` (torch.compile)", lambda s: prefixed("_orig_mod.", s)),
    Layout("keys begin with `_orig_mod.module.`", lambda s: prefixed("_orig_mod.module.", s)),
    Layout("`_orig_mod.` within keys (parts compiled)", _inner),
    *(
        Layout(
            f"Lightning: `state_dict`, whose keys begin with `{prefix}`",
            lambda state, prefix=prefix: {
                "state_dict": prefixed(prefix, state),
                "pytorch-lightning_version": "2.5.0",
                "optimizer_states": [_OPTIMISER],
            },
        )
        for prefix in ("model.", "net.", "backbone.", "model._orig_mod.", "model.net.")
    ),
    Layout(
        "SWA: keys begin with `module.`, with `n_averaged`",
        lambda state: prefixed("module.", state) | {"n_averaged": torch.tensor(7)},
    ),
    Layout("no `num_batches_tracked`", lambda s: without("num_batches_tracked", s)),
    Layout("under `ema` alone", _nest("ema")),
    Layout(
        "the same weights twice",
        lambda state: {"model": state, "state_dict": {k: v.clone() for k, v in state.items()}},
    ),
    Layout(
        "weights of the loss function beside the network's, under keys of their own",
        lambda state: {"model": state, "criterion": {"weight": torch.ones(2)}},
    ),
    *(
        Layout(f"`{raw}` and `{ema}`", _nest(raw, ema), _EMA, choosable=True)
        for raw, ema in (
            ("state_dict", "state_dict_ema"),
            ("model", "model_ema"),
            ("state_dict", "ema_state_dict"),
            ("model", "ema"),
            ("model", "averaged"),
            ("net", "swa_state_dict"),
            ("model", "modelEma"),
        )
    ),
    Layout(
        "`model` and `ema.module` (a wrapper of its own)",
        lambda state: {"model": state, "ema": {"module": other(state), "updates": 10}},
        _EMA,
        choosable=True,
    ),
    Layout(
        "Lightning: `state_dict`, and an average under `callbacks`",
        lambda state: {
            "state_dict": prefixed("model.", state),
            "callbacks": {"EMA": {"ema_weights": prefixed("model.", other(state))}},
        },
        _EMA,
        choosable=True,
    ),
    Layout(
        "one state dict with `model.` and `ema_model.`",
        lambda state: prefixed("model.", state) | prefixed("ema_model.", other(state)),
        _EMA,
        choosable=True,
    ),
    Layout(
        "`model`, and an average without names (`ema.shadow_params`, a list)",
        lambda state: {
            "model": state,
            "ema": {"decay": 0.99, "shadow_params": list(other(state).values())},
        },
        _EMA,
    ),
    Layout(
        "`model`, and an average under `model_ema` whose keys have no dots",
        lambda state: {
            "model": state,
            "model_ema": {key.replace(".", ""): value for key, value in other(state).items()},
        },
        _EMA,
    ),
    Layout("keys with and without `module.`", _both, "with and without `module.`"),
    Layout("some keys with `module.`", _half, "with and without `module.`"),
    Layout("`best_state_dict` and `last_state_dict`", _nest("best", "last"), _SEVERAL),
    Layout("`student` and `teacher`", _nest("student", "teacher"), _SEVERAL),
    Layout(
        "one state dict with `student.` and `teacher.`",
        lambda state: prefixed("student.", state) | prefixed("teacher.", other(state)),
        _SEVERAL,
    ),
    Layout("a list of state dicts (folds)", lambda s: {"folds": [s, other(s)]}, _SEVERAL),
    Layout(
        "Lightning: weights of the loss function among the network's",
        lambda state: {
            "state_dict": prefixed("model.", state) | {"loss.pos_weight": torch.ones(1)}
        },
        "the whole network is there, and more",
    ),
    Layout(
        "no head",
        lambda s: {key: value for key, value in s.items() if not key.startswith("head.")},
        "it has no head",
    ),
    Layout("no statistics of batch normalisation", lambda s: without("running_var", s), "buffers"),
    Layout("no weights", lambda _: {"epoch": 3, "loss": 0.1}, "no state dict in it"),
    Layout("a list or a tensor", lambda state: list(state.values()), "not a state dict"),
)


def table() -> str:
    """The layouts as a table of Markdown."""
    rows = ["| the file holds | what becomes of it |", "|---|---|"]
    for each in LAYOUTS:
        if not each.refused:
            outcome = "read"
        elif each.choosable:
            outcome = "read with `--weights raw` or `--weights ema`, refused without"
        else:
            outcome = f"refused: “{each.refused}”"
        rows.append(f"| {each.holds} | {outcome} |")
    return "\n".join(rows) + "\n"


def in_docs(text: str) -> str:
    """The document with the tables of now."""
    for name, rows in (("layouts", table()), ("class layouts", class_layouts.table())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{rows}{end}{after}"
    return text


if __name__ == "__main__":
    DOCS.write_text(in_docs(DOCS.read_text("utf-8")), "utf-8")
