"""An artefact that runs in a backend's process. Only inside Triton: it needs pb_utils."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from server.backends.engine import Opening
from server.backends.failure import Failure


class Session:
    """One artefact, ready to run.

    Who shares the cores with others of its kind has them all while the others rest: one caller is
    answered sooner, and where many call each core has its own work.
    """

    def __init__(
        self, name: str, opening: Opening, threads: int, sharers: int, rest: Callable[[], bool]
    ) -> None:
        """Opens the artefact; raises what the engine says where it cannot.

        Args:
            name: the model's, for the log and errors.
            opening: of the artefact.
            threads: for one pass while others compute; 0 for as many as there are cores.
            sharers: that share the cores, whoever runs this among them.
            rest: whether all others rest.
        """
        self._name = name
        self._one = opening(threads, alone=False)
        shared = threads > 0 and sharers > 1
        self._all = opening(threads * sharers, alone=True) if shared else None
        self._rest = rest

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]] | Failure:
        """One forward pass: the outputs of these names, in their order."""
        engine = self._all if self._all and self._rest() else self._one
        try:
            return engine.run(outputs, feed)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers get no traceback
            pb_utils.Logger.log_error(f"{self._name}: {error}")
            message = f"{self._name}: the forward pass failed; the server's log says why"
            return Failure(message, pb_utils.TritonError.INTERNAL)
