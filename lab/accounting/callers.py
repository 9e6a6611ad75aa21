"""Callers of both doors, and the ledger of every answer that they saw."""

import itertools
import json
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import httpx
import numpy as np
from tritonclient.grpc import service_pb2

from lab.errors import LabError
from lab.load.grpc import METHOD, OPTIONS, question
from pipelines.protocol import Output

_DEADLINE = 60.0
_PAUSE = 0.2
"""Seconds after a failure."""
_PATIENCE = 120.0
_QUIET = 2.0
"""Seconds without a failure after which a door counts as recovered."""
_TOLERANCE = 1e-4
HTTP, GRPC = "HTTP", "gRPC"
RAW = {"content-type": "application/octet-stream"}


@dataclass(frozen=True)
class Answer:
    """What a caller was told."""

    id: str
    """Of the prediction."""
    photo: int
    receipt: tuple[str, int, str]
    """Chain, position and head."""
    probabilities: Sequence[float]


class DoorError(Exception):
    """There was no answer; the text says what came instead."""


class Door(ABC):
    """Asks the service by one protocol."""

    name: str

    @abstractmethod
    def ask(self, photo: int, request_id: str, key: str | None) -> Answer:
        """The answer about a photo.

        Raises:
            DoorError: there is none.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends its connections."""


class Http(Door):
    """`POST /api/v1/predict`."""

    name = HTTP

    def __init__(self, url: str, photos: Sequence[bytes]) -> None:
        self._photos = photos
        self._client = httpx.Client(base_url=url, timeout=_DEADLINE, trust_env=False)

    def ask(self, photo: int, request_id: str, key: str | None) -> Answer:
        """Asks with the photo as the body; see `Door`."""
        headers = RAW | {"x-request-id": request_id}
        if key is not None:
            headers["idempotency-key"] = key
        try:
            said = self._client.post(
                "/api/v1/predict", content=self._photos[photo], headers=headers
            )
        except httpx.HTTPError as error:
            raise DoorError(type(error).__name__) from None
        if said.status_code != httpx.codes.OK:
            raise DoorError(str(said.status_code))
        answer = said.json()
        receipt = answer["receipt"]
        return Answer(
            answer["prediction_id"],
            photo,
            (receipt["chain"], receipt["position"], receipt["head"]),
            list(answer["probabilities"].values()),
        )

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()


class Grpc(Door):
    """`ModelInfer`."""

    name = GRPC

    def __init__(self, port: int, pipeline: str, photos: Sequence[bytes]) -> None:
        self._requests = [question(pipeline, {}, photo) for photo in photos]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
        self._infer = self._channel.unary_unary(METHOD)

    def ask(self, photo: int, request_id: str, key: str | None) -> Answer:
        """Asks for the probabilities; see `Door`."""
        metadata = [("x-request-id", request_id)]
        if key is not None:
            metadata.append(("idempotency-key", key))
        try:
            said = self._infer(self._requests[photo], timeout=_DEADLINE, metadata=metadata)
        except grpc.RpcError as error:
            raise DoorError(error.code().name) from None
        response = service_pb2.ModelInferResponse.FromString(said)
        receipt = json.loads(response.parameters["receipt"].string_param)
        at = [output.name for output in response.outputs].index(Output.PROBABILITIES)
        return Answer(
            response.parameters["prediction_id"].string_param,
            photo,
            (receipt["chain"], receipt["position"], receipt["head"]),
            np.frombuffer(response.raw_output_contents[at], "<f4").tolist(),
        )

    def close(self) -> None:
        """Ends its channel."""
        self._channel.close()


@dataclass
class Ledger:
    """What all callers saw. Threads share it."""

    answers: list[Answer] = field(default_factory=list)
    moments: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {HTTP: [], GRPC: []}
    )
    """When each good answer was asked for, and came, by door."""
    failures: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: {HTTP: [], GRPC: []}
    )
    wrong: int = 0
    """Answers that were not as the reference."""
    given_up: int = 0
    """Requests with a key that got no answer in two minutes."""

    def recovered(self, door: str, since: float) -> float:
        """Seconds until answers came again and failed no more for a while.

        Raises:
            LabError: they did not within two minutes.
        """
        while time.monotonic() - since < _PATIENCE:
            last = max((at for at, _ in self.failures[door] if at >= since), default=since)
            again = [came for began, came in self.moments[door] if began >= last]
            if again and time.monotonic() - max(again[0], last) > _QUIET:
                return again[0] - since
            time.sleep(0.1)
        raise LabError(f"{door}: no recovery within {_PATIENCE:.0f} s")

    def failed(self, since: float) -> Counter[str]:
        """What came instead of answers since then, at both doors."""
        return Counter(what for door in self.failures.values() for at, what in door if at >= since)


@dataclass
class Callers:
    """Four callers, one with and one without keys at each door, from entry to exit."""

    doors: Callable[[], Sequence[Door]]
    """Makes doors: each caller has its own."""
    references: Mapping[int, Sequence[float]]
    """Of each photo its probabilities, asked before."""
    ledger: Ledger = field(default_factory=Ledger)

    def __enter__(self) -> Ledger:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(door, keyed))
            for keyed in (True, False)
            for door in self.doors()
        ]
        for thread in self._threads:
            thread.start()
        return self.ledger

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, door: Door, keyed: bool) -> None:
        try:
            for photo in itertools.cycle(self.references):
                if self._stop.is_set():
                    return
                self._one(door, photo, uuid4().hex if keyed else None)
        finally:
            door.close()

    def _one(self, door: Door, photo: int, key: str | None) -> None:
        """Asks about a photo; with a key until there is an answer."""
        until = time.monotonic() + _PATIENCE
        name = f"key-{key}" if key else f"one-{uuid4().hex}"
        while True:
            began = time.monotonic()
            try:
                answer = door.ask(photo, name, key)
            except DoorError as error:
                self.ledger.failures[door.name].append((time.monotonic(), str(error)))
                time.sleep(_PAUSE)
            else:
                self.ledger.moments[door.name].append((began, time.monotonic()))
                self.ledger.answers.append(answer)
                self.ledger.wrong += not same(answer.probabilities, self.references[photo])
                return
            if key is None:
                return
            if time.monotonic() > until:
                self.ledger.given_up += 1
                return


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two answers have the same probabilities."""
    return len(one) == len(other) and all(
        abs(a - b) < _TOLERANCE for a, b in zip(one, other, strict=True)
    )
