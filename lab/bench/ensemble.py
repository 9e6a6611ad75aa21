"""Runs the models of a plan in the current process: photos to class probabilities.

The raw limit and all peers run this code, so that only their serving differs.
It needs NumPy, Pillow, simplejpeg and ONNX Runtime alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.decision import probabilities, weighted_mean
from inference.decode import decode
from inference.rules import DecodeRules
from lab.bench.plan import Plan

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]
Member = Callable[[Pixels], Logits]
"""From UINT8 [N, H, W, 3] to FP32 [N, K]."""


def with_onnxruntime(path: str, threads: int) -> Member:
    """A member as ONNX Runtime runs it.

    Args:
        path: its ONNX file.
        threads: of each forward pass.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin between requests take the cores from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(pixels: Pixels) -> Logits:
        logits: Logits = session.run(None, {name: pixels})[0]
        return logits

    return run


class Ensemble:
    """All members of a plan, on the CPU, and their weighted mean."""

    def __init__(
        self, plan: Plan, threads: int, open_member: Callable[[str, int], Member] = with_onnxruntime
    ) -> None:
        """Opens the models.

        Args:
            plan: the models and their weights.
            threads: of each forward pass.
            open_member: opens a member by the path of its file, with so many threads.
        """
        self._members = [open_member(member.path, threads) for member in plan.members]
        self._weights = [member.weight for member in plan.members]
        self._classes = plan.spec["classes"]
        self._rules = DecodeRules.from_spec(plan.spec)

    def decode(self, data: bytes) -> Pixels:
        """One photo as the members see it, UINT8 [H, W, 3]."""
        return decode(data, self._rules).pixels

    def probabilities(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        """FP32 [N, K]: the weighted mean of the members' softmax, for N images in one batch."""
        batch, classes = np.stack(pixels), len(self._classes)
        each = [probabilities(member(batch), classes, "a member") for member in self._members]
        return weighted_mean(np.stack(each, axis=1), self._weights).astype(np.float32)

    def answer(self, probabilities: NDArray[np.float32]) -> dict[str, dict[str, float]]:
        """One image's FP32 [K] as the JSON that peers answer with."""
        named = zip(self._classes, probabilities.tolist(), strict=True)
        return {"probabilities": dict(named)}
