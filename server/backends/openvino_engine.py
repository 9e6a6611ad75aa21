"""Runs ONNX artefacts compiled by OpenVINO for the CPU at hand (docs/decisions/0024).

When it is imported, OpenVINO reports its use over the network. A server of patients' images must
not: this module hides the package that reports, and OpenVINO then reports nothing.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.features import difference
from pipelines.protocol import MEMBER_FEATURES
from server.backends.engine import CPU, Engine, session_options

# As if it were not installed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402 - only now

_SEED = 24
_PERIODS = (1, 5, 25)
"""Of the probe's waves along a side; odd, so that none is sampled at its zeros alone."""


class OpenVinoError(Exception):
    """The compiled artefact answers otherwise than ONNX Runtime."""


class OpenVinoEngine:
    """One artefact, ready to run; one caller at a time.

    A pass sees one image, whatever the batch: OpenVINO is faster where it knows all shapes, and no
    image's answer depends on its batch.
    """

    def __init__(self, path: Path, threads: int) -> None:
        """Compiles it; raises what OpenVINO says where it cannot.

        Args:
            path: ONNX, which takes [N, ...].
            threads: for one pass, the caller's among them; 0 for as many as there are cores.
        """
        core = openvino.Core()
        model = core.read_model(path)
        model.reshape({each: [1, *each.partial_shape[1:]] for each in model.inputs})
        self._request = core.compile_model(
            model, "CPU", _properties(threads)
        ).create_infer_request()

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """A pass for each image: the outputs of these names, in their order, [N, ...] each."""
        rows = [self._pass(outputs, image) for image in _images(feed)]
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    def _pass(
        self, outputs: Sequence[str], image: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        self._request.infer(image, share_inputs=True)
        return [np.array(self._request.get_tensor(name).data) for name in outputs]


def open_engine(path: Path, tolerance: float, threads: int) -> OpenVinoEngine:
    """An engine that agrees with ONNX Runtime.

    Raises:
        OpenVinoError: it does not (`require_agreement`).
    """
    engine = OpenVinoEngine(path, threads)
    require_agreement(engine, path, tolerance)
    return engine


def require_agreement(engine: Engine, path: Path, tolerance: float) -> None:
    """Compares with ONNX Runtime, whose answers passed the gates, on this very CPU.

    Its instructions decide which kernels OpenVINO takes, and by default in which precision.

    Args:
        engine: of the artefact.
        path: the artefact; takes pixels UINT8 [N, H, W, 3].
        tolerance: largest difference of a number of an output; of features, of
            `inference.features.difference`.

    Raises:
        OpenVinoError: they differ by more, or by what is no number.
    """
    session = onnxruntime.InferenceSession(path, session_options(1, spinning=False), [CPU])
    taken, outputs = session.get_inputs()[0], [each.name for each in session.get_outputs()]
    feed = {taken.name: _probe(*taken.shape[1:3])}
    expected = session.run(outputs, feed)
    found = engine.run(outputs, feed)
    apart = np.max(
        [
            difference(b, a) if name == MEMBER_FEATURES else np.abs(a - b).max()
            for name, a, b in zip(outputs, expected, found, strict=True)
        ]
    )
    # NaN compares false with everything.
    if not apart <= tolerance:
        raise OpenVinoError(
            f"{path.parent.parent.name}: OpenVINO's answers lie {apart:.2g} from ONNX Runtime's on "
            f"this CPU, {tolerance:g} is allowed: leave `acceleration: openvino` out"
        )


def _properties(threads: int) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Else it takes BF16 where the CPU has instructions for it.
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }


def _images(feed: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """What each image feeds, as a batch of its own."""
    count = len(next(iter(feed.values())))
    return [{name: rows[each : each + 1] for name, rows in feed.items()} for each in range(count)]


def _probe(height: int, width: int) -> NDArray[np.uint8]:
    """Noise, and waves from coarse to fine in three colours, UINT8 [4, height, width, 3]."""
    noise = np.random.default_rng(_SEED).integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        np.stack(
            [
                np.sin(2 * np.pi * periods * (x / width + colour * y / height / 2))
                for colour in range(3)
            ],
            axis=-1,
        )
        for periods in _PERIODS
    ]
    return np.stack([noise, *(((wave + 1) * 127.5).astype(np.uint8) for wave in waves)])
