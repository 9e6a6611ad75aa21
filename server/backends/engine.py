"""The interface of engines that run an artefact, and the options of ONNX Runtime."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import onnxruntime
from numpy.typing import NDArray

CPU = "CPUExecutionProvider"


class Engine(Protocol):
    """Runs one artefact; ONNX Runtime's sessions do."""

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """One forward pass: the outputs of these names, in their order."""


class EngineFactory(Protocol):
    """Opens one artefact; each call opens it again."""

    def __call__(self, threads: int, *, alone: bool) -> Engine:
        """An engine with so many threads a pass; `alone`: it runs only while others are idle."""


def session_options(threads: int, *, spinning: bool) -> onnxruntime.SessionOptions:
    """Options of an ONNX Runtime session.

    Args:
        threads: for one operator; 0 for as many as there are cores.
        spinning: whether threads spin until the pass is over. Small operators end before a
            sleeping thread wakes up; but spinning threads take the cores from other processes.
    """
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    made.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if spinning:
        made.add_session_config_entry("session.force_spinning_stop", "1")
    return made
