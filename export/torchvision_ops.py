"""Makes torchvision import, and its detectors run, where its native operators do not load.

timm imports torchvision, and torchvision registers shape functions for operators that its native
library declares. A torchvision that was built for another torch (a CUDA build beside a CPU torch)
cannot load that library, and its import then fails with "operator torchvision::nms does not
exist". No classifier here runs any of those operators: declaring their schemas is enough.
Detectors run two of them, which then come from export/torchvision_kernels.py.
"""

import functools
import importlib
import importlib.util
from pathlib import Path

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# The two whose shape functions torchvision registers without asking whether they exist.
_REQUIRED = ("nms", "qnms")
_ROI_ALIGN = (
    "(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor"
)
# Each asks whether the native operators are there before it calls one.
_ASKING = ("torchvision.extension", "torchvision.ops.roi_align")


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


@functools.cache
def ensure_runnable() -> None:
    """Gives `nms` and `roi_align` kernels for the CPU where the native ones do not load.

    Call it before a torchvision detector is built. Differentiable where the native ones are, so
    that a detector also trains.
    """
    ensure_declared()
    if _load_native():
        return
    from export import torchvision_kernels  # noqa: PLC0415 - only where they are needed

    torch.library.define("torchvision::roi_align", _ROI_ALIGN)
    torch.library.impl("torchvision::nms", "CPU", torchvision_kernels.nms)
    # Made of differentiable operators, so it needs no backward of its own.
    torch.library.impl(
        "torchvision::roi_align", "CompositeImplicitAutograd", torchvision_kernels.roi_align
    )
    for name in _ASKING:
        vars(importlib.import_module(name))["_has_ops"] = _has_ops


def _has_ops() -> bool:
    return True


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
