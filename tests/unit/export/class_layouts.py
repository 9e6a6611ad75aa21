"""Ways in which a checkpoint says its classes: cases of tests, and a table of docs/export.md."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Names = Sequence[str]


@dataclass(frozen=True)
class ClassLayout:
    """One way to say the order of classes."""

    key: str
    """Where it stands, as the manifest has it."""
    form: str
    """In words of the documentation."""
    saved: Callable[[Names], dict[str, Any]]
    """What is saved beside the weights."""


def indices(names: Names) -> dict[str, int]:
    return {name: index for index, name in enumerate(names)}


def named(names: Names) -> dict[int, str]:
    return dict(enumerate(names))


def texts(names: Names) -> dict[str, str]:
    return {str(index): name for index, name in enumerate(names)}


def _numpy(names: Names) -> dict[Any, Any]:
    return {np.str_(name): np.int64(index) for index, name in enumerate(names)}


CLASS_LAYOUTS = (
    ClassLayout("class_to_idx", "name to index", lambda n: {"class_to_idx": indices(n)}),
    ClassLayout(
        "class_to_idx", "name to index, both of NumPy", lambda n: {"class_to_idx": _numpy(n)}
    ),
    *(
        ClassLayout(key, "a list", lambda n, key=key: {key: list(n)})
        for key in ("classes", "class_names", "names", "labels", "label_names", "target_names")
    ),
    ClassLayout("classes", "a tuple", lambda n: {"classes": tuple(n)}),
    ClassLayout("classes", "an array of NumPy", lambda n: {"classes": np.array(n)}),
    ClassLayout("classes", "names with commas between them", lambda n: {"classes": ", ".join(n)}),
    *(
        ClassLayout(key, "index to name", lambda n, key=key: {key: named(n)})
        for key in ("classes", "class_names", "names", "idx_to_class", "id2label", "label_map")
    ),
    ClassLayout("idx_to_class", "index as a string to name", lambda n: {"idx_to_class": texts(n)}),
    *(
        ClassLayout(key, "name to index", lambda n, key=key: {key: indices(n)})
        for key in ("classToIdx", "class_index", "labels_map", "name_to_label")
    ),
    ClassLayout("label2id", "name to index", lambda n: {"label2id": indices(n)}),
    ClassLayout("label_map", "name to index", lambda n: {"label_map": indices(n)}),
    ClassLayout(
        "label_map",
        "name to index as a string",
        lambda n: {"label_map": {name: str(index) for name, index in indices(n).items()}},
    ),
    ClassLayout(
        "categories",
        "a list of `id` and `name`",
        lambda n: {"categories": [{"id": i, "name": name} for i, name in enumerate(n)]},
    ),
    ClassLayout(
        "label_encoder.classes_",
        "a list",
        lambda n: {"label_encoder": {"classes_": list(n)}},
    ),
    ClassLayout("meta.CLASSES", "a tuple (mmcv)", lambda n: {"meta": {"CLASSES": tuple(n)}}),
    ClassLayout(
        "meta.dataset_meta.classes",
        "a list (mmengine)",
        lambda n: {"meta": {"dataset_meta": {"classes": list(n)}}},
    ),
    ClassLayout(
        "hyper_parameters.class_to_idx",
        "name to index (Lightning)",
        lambda n: {"hyper_parameters": {"class_to_idx": indices(n)}},
    ),
    ClassLayout(
        "hyper_parameters.cfg.data.classes",
        "a list (Lightning)",
        lambda n: {"hyper_parameters": {"cfg": {"data": {"classes": list(n)}}}},
    ),
    ClassLayout(
        "args.class_names",
        "a list in a namespace of arguments",
        lambda n: {"args": Namespace(class_names=list(n), lr=0.1)},
    ),
    *(
        ClassLayout(f"{key}.names", "index to name", lambda n, key=key: {key: {"names": named(n)}})
        for key in ("config", "opt", "cfg", "hparams")
    ),
    ClassLayout(
        "pretrained_cfg.label_names",
        "a list (timm)",
        lambda n: {"pretrained_cfg": {"label_names": list(n)}},
    ),
)
"""Each beside the weights in a file of torch.save."""


def table() -> str:
    """The layouts as rows of a table in Markdown."""
    rows = [f"| `{layout.key}` | {layout.form} |" for layout in CLASS_LAYOUTS]
    return "\n".join(["| where | what stands there |", "|---|---|", *dict.fromkeys(rows), ""])
