"""`python -m lab.bench.contenders.fastapi_openvino.app`: the ONNX Runtime one, compiled.

Each thread of the pool has its own compiled model for one image, and runs it itself: a model with
several streams hands each pass to threads of its own.
"""

import sys
import threading

import numpy as np

from lab.bench.contenders.fastapi.app import serve
from lab.bench.ensemble import Logits, Member, Pixels, opened
from lab.bench.plan import Plan

_PROPERTIES = {
    "NUM_STREAMS": 1,
    # As all other contenders: else it takes BF16 where the CPU has instructions for it.
    "INFERENCE_PRECISION_HINT": "f32",
    "ENABLE_CPU_PINNING": False,
}


def with_openvino(path: str, threads: int) -> Member:
    """A member as OpenVINO runs it, one image at a time.

    Args:
        path: its ONNX file.
        threads: of each forward pass.
    """
    # Else it reports its use over the network when it is imported.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino  # noqa: PLC0415

    core, own = openvino.Core(), threading.local()
    model = core.read_model(path)
    model.reshape([1, *model.inputs[0].partial_shape[1:]])
    properties = {**_PROPERTIES, "INFERENCE_NUM_THREADS": threads}

    def run(pixels: Pixels) -> Logits:
        if not hasattr(own, "request"):
            own.request = core.compile_model(model, "CPU", properties).create_infer_request()
        rows = [
            np.array(own.request.infer([image[None]], share_inputs=True)[0]) for image in pixels
        ]
        return np.concatenate(rows)

    return run


if __name__ == "__main__":
    serve(lambda: opened(Plan.of_environment(), threads=1, open_member=with_openvino))
