"""Decodes and runs members in the decision step's own process, for small networks.

Only inside Triton: it needs pb_utils.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.decode import collect
from inference.rules import DecodeRules, Spec
from pipelines import protocol
from pipelines.enums import Acceleration, Format
from server.backends.compute import spent
from server.backends.decoding import Decoder
from server.backends.engine import CPU, Engine, EngineFactory, session_options
from server.backends.failure import Failure
from server.backends.members import Call, MemberResult, Model
from server.backends.session import Session


class LocalDecoder:
    """Decodes the images of a request, as the backend `image_decode` does."""

    def __init__(self, spec: Spec) -> None:
        self._decode = Decoder(DecodeRules.from_spec(spec))
        self.costly, self.later = self._decode.costly, self._decode.later
        self.close = self._decode.close

    def __call__(self, files: NDArray[np.object_]) -> dict[str, NDArray[Any]]:
        """The decode step's outputs, [N, ...] each, of `protocol.ENCODED_IMAGE` [N, 1].

        Raises:
            RefusedError: one of the images is refused.
        """
        files = files.reshape(-1)
        tensors = collect(map(self._decode, files), len(files))
        if len(tensors) == 1:
            return {name: array[None] for name, array in tensors[0].items()}
        return {name: np.stack([each[name] for each in tensors]) for name in tensors[0]}


class Turn:
    """A lock that is given to threads in the order in which they ask for it.

    A usual lock goes mostly to the thread that has just released it: the passes of an explanation,
    one after the other, would keep all others waiting.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tickets = self._next = 0

    def __enter__(self) -> None:
        with self._changed:
            ticket = self._tickets
            self._tickets += 1
            self._changed.wait_for(lambda: self._next == ticket)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._next += 1
            self._changed.notify_all()


class LocalMembers:
    """Sessions of all members, opened from the artefacts that the launcher has verified."""

    def __init__(
        self,
        spec: Spec,
        folder: Path,
        artefacts: Mapping[str, Any],
        processes: int,
        siblings_idle: Callable[[], bool],
        *,
        staged: str | None = None,
    ) -> None:
        """Opens them; raises what their engine raises where it cannot.

        Args:
            spec: of a pipeline whose members are all ONNX.
            folder: the decision model's, beside those of the members.
            artefacts: the launcher's (`protocol.ConfigOverride.ARTEFACTS`).
            processes: that do the same beside this one, itself among them.
            siblings_idle: whether no other process computes.
            staged: the release by which the models are named; None: they have their own names.
        """
        self._turn = Turn()
        self._sessions: dict[str, Session] = {}
        for name, member in spec["members"].items():
            model = protocol.named_for(protocol.member_model(spec["name"], name), staged)
            version = folder.parent / model / artefacts[name]["version"]
            create = _factory(version / Format(member["format"]).filename, member, spec)
            self._sessions[model] = Session(
                model, create, member["threads"], processes, siblings_idle
            )

    def run(self, calls: Sequence[Call]) -> list[MemberResult]:
        """Runs one call after the other: this process has one core's share."""
        with self._turn:  # costly images and explanations are answered from other threads
            return [self._result(*call) for call in calls]

    def _result(self, model: Model, pixels: NDArray[np.uint8]) -> MemberResult:
        began, before = time.monotonic(), time.process_time()
        found = self._sessions[model.name].run(model.outputs, {protocol.MEMBER_INPUT: pixels})
        if isinstance(found, Failure):
            return found
        # Of the whole process, as an engine has threads of its own.
        seconds = (time.process_time() - before) / len(pixels)
        ran = spent(seconds, began, time.monotonic(), len(pixels))
        return {**dict(zip(model.outputs, found, strict=True)), protocol.SPENT: ran}


def _factory(path: Path, member: Mapping[str, Any], spec: Spec) -> EngineFactory:
    def with_onnxruntime(threads: int, *, alone: bool) -> Engine:
        options = session_options(threads, spinning=alone)
        engine: Engine = onnxruntime.InferenceSession(path, options, [CPU])
        return engine

    def with_openvino(threads: int, *, alone: bool) -> Engine:
        # Few profiles want it, and it takes a moment to load.
        from server.backends.openvino_engine import open_engine  # noqa: PLC0415

        return open_engine(path, spec["parity"]["tolerance"], threads)

    return with_openvino if member["acceleration"] == Acceleration.OPENVINO else with_onnxruntime
