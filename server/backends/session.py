"""An ONNX Runtime session in a backend's process. Only inside Triton: it needs pb_utils."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from server.backends.company import Company
from server.backends.failure import Failure

_CPU = "CPUExecutionProvider"
Providers = Sequence[str | tuple[str, dict[str, str]]]


def options(threads: int) -> onnxruntime.SessionOptions:
    """Options of a session.

    Args:
        threads: for one operator; 0 for as many as there are cores.
    """
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    # Threads that spin between requests take the cores from the other backends.
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    made.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return made


class Session:
    """One artefact, ready to run.

    A process that shares the cores with others of its kind has them all while the others rest:
    one caller is answered sooner, and where many call each core has its own work.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        threads: int,
        processes: int,
        *,
        configured: Callable[[int], onnxruntime.SessionOptions] = options,
        providers: Providers = (_CPU,),
    ) -> None:
        """Opens the artefact; raises what ONNX Runtime says where it cannot.

        Args:
            name: the model's, for the log and errors.
            path: the artefact.
            threads: for one operator while other processes compute.
            processes: that share the cores, this one among them.
            configured: makes options with so many threads.
            providers: in order of preference.
        """
        self._name = name
        self._one = onnxruntime.InferenceSession(path, configured(threads), list(providers))
        self._all = None
        on_cpu = self._one.get_providers() == [_CPU]
        if on_cpu and threads > 0 and processes > 1:
            every = configured(threads * processes)
            # Small operators are over before a thread that sleeps has woken up.
            every.add_session_config_entry("session.intra_op.allow_spinning", "1")
            every.add_session_config_entry("session.force_spinning_stop", "1")
            self._all = onnxruntime.InferenceSession(path, every, [_CPU])
            self._company = Company()

    @property
    def providers(self) -> list[str]:
        """Those that really run it."""
        found: list[str] = self._one.get_providers()
        return found

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]] | Failure:
        """One forward pass: the outputs of these names, in their order."""
        session = self._all if self._all and self._company.rests() else self._one
        try:
            tensors: list[NDArray[Any]] = session.run(outputs, feed)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers get no traceback
            pb_utils.Logger.log_error(f"{self._name}: {error}")
            message = f"{self._name}: the forward pass failed; the server's log says why"
            return Failure(message, pb_utils.TritonError.INTERNAL)
        return tensors
