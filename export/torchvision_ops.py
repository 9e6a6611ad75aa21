"""Lets torchvision be imported where its native operators do not load.

timm imports torchvision, and torchvision registers shape functions for operators that its native
library declares. A torchvision that was built for another torch (a CUDA build beside a CPU torch)
cannot load that library, and its import then fails with "operator torchvision::nms does not
exist". No classifier here runs any of those operators: declaring their schemas is enough.
"""

import functools
import importlib.util
from pathlib import Path

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# The two whose shape functions torchvision registers without asking whether they exist.
_REQUIRED = ("nms", "qnms")


@functools.cache
def ensure_declared() -> None:
    """Loads torchvision's native operators or, where that fails, declares the schemas it needs.

    Call it before the first import of timm or torchvision. A declared operator has no kernel:
    calling one raises NotImplementedError.
    """
    if _load_native():
        return
    for name in _REQUIRED:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


def _load_native() -> bool:
    package = importlib.util.find_spec("torchvision")
    folders = (package and package.submodule_search_locations) or []
    libraries = [path for folder in folders for path in Path(folder).glob("_C.*")]
    try:
        for library in libraries:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(libraries)
