"""Runs an artefact in a backend's own process. Runs in Triton: it needs pb_utils."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from server.backends.engine import EngineFactory
from server.backends.failure import Failure


class Session:
    """One artefact, ready to run.

    Processes that share the cores take all of them while the others are idle: a single caller is
    answered sooner, and with many callers each core has its own work.
    """

    def __init__(
        self,
        name: str,
        create: EngineFactory,
        threads: int,
        processes: int,
        siblings_idle: Callable[[], bool],
    ) -> None:
        """Opens the artefact; raises what the engine raises where it cannot.

        Args:
            name: the model's, for the log and errors.
            create: opens the artefact.
            threads: for one pass while others compute; 0 for as many as there are cores.
            processes: that share the cores, this one among them.
            siblings_idle: whether no other process computes.
        """
        self._name = name
        self._engine = create(threads, alone=False)
        shared = threads > 0 and processes > 1
        self._all_cores = create(threads * processes, alone=True) if shared else None
        self._siblings_idle = siblings_idle

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]] | Failure:
        """One forward pass: the outputs of these names, in their order."""
        engine = self._all_cores if self._all_cores and self._siblings_idle() else self._engine
        try:
            return engine.run(outputs, feed)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers get no traceback
            pb_utils.Logger.log_error(f"{self._name}: {error}")
            message = f"{self._name}: the forward pass failed; the server's log says why"
            return Failure(message, pb_utils.TritonError.INTERNAL)
