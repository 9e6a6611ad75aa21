"""Steady load: each gateway is asked over HTTP and gRPC without a pause, subject after subject."""

import asyncio
import json
import struct
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import grpc
from tritonclient.grpc import service_pb2

from lab.load.client import RequestError
from lab.load.grpc import METHOD, OPTIONS
from lab.load.http import Connection, upload
from lab.releases.proof.world import NAME
from pipelines.protocol import ENCODED_IMAGE, Output

_PATH = f"/api/v1/pipelines/{NAME}/predict"
_PAUSE = 0.05
_OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: when it came, of which worker, for which subject, and what it says."""

    at: float
    worker: int
    subject: int
    release: str
    prediction_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without an answer."""

    at: float
    worker: int
    reason: str


@dataclass
class _Worker:
    number: int
    gateway: int
    subjects: list[int]
    asked: int = 0
    answers: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class Load:
    """Four workers, one for each door of two gateways; each has its share of the subjects."""

    def __init__(self, doors: list[tuple[int, int]], photo: bytes, subjects: int) -> None:
        self._photo = photo
        self._doors = doors
        count = 2 * len(doors)
        self.workers = [
            _Worker(number, number // 2, list(range(number, subjects, count)))
            for number in range(count)
        ]
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def answers(self) -> list[Answer]:
        """All so far."""
        return [each for worker in self.workers for each in worker.answers]

    @property
    def failures(self) -> list[Failure]:
        """All so far."""
        return [each for worker in self.workers for each in worker.failures]

    def rotate(self) -> None:
        """Gives each worker the subjects of the one before: they are asked at another door."""
        lists = [worker.subjects for worker in self.workers]
        for worker, subjects in zip(self.workers, lists[-1:] + lists[:-1], strict=True):
            worker.subjects, worker.asked = subjects, 0

    def round(self) -> list[Answer]:
        """The answers of one round that begins now, in which every subject is asked."""
        began, marks = time.monotonic(), [worker.asked for worker in self.workers]
        while any(
            worker.asked < mark + len(worker.subjects) + 1
            for worker, mark in zip(self.workers, marks, strict=True)
        ):
            time.sleep(_PAUSE)
        return [each for each in self.answers if each.at >= began]

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for worker in self.workers:
                http, kserve = self._doors[worker.gateway]
                ask = self._grpc(worker, kserve) if worker.number % 2 else self._http(worker, http)
                group.create_task(ask)

    def _next(self, worker: _Worker) -> int:
        subject = worker.subjects[worker.asked % len(worker.subjects)]
        worker.asked += 1
        return subject

    def _failed(self, worker: _Worker, reason: str) -> None:
        worker.failures.append(Failure(time.monotonic(), worker.number, reason))

    async def _http(self, worker: _Worker, port: int) -> None:
        connection: Connection | None = None
        while not self._over.is_set():
            subject = self._next(worker)
            try:
                if connection is None or connection.lost:
                    connection = await Connection.open("127.0.0.1", port)
                headers = {"X-Subject-ID": f"subject-{subject}"}
                found = await connection.send(upload(_PATH, [self._photo], headers=headers))
            except RequestError as error:
                self._failed(worker, str(error))
                await asyncio.sleep(_PAUSE)
                continue
            if found.status != _OK:
                self._failed(worker, f"status {found.status}: {found.body[:300]!r}")
                await asyncio.sleep(_PAUSE)
                continue
            said = json.loads(found.body)
            worker.answers.append(
                Answer(
                    time.monotonic(),
                    worker.number,
                    subject,
                    said["release"],
                    said["prediction_id"],
                )
            )

    async def _grpc(self, worker: _Worker, port: int) -> None:
        request = _question(self._photo)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
            infer = channel.unary_unary(METHOD)
            while not self._over.is_set():
                subject = self._next(worker)
                try:
                    metadata = (("x-subject-id", f"subject-{subject}"),)
                    answer = await infer(request, metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    self._failed(worker, f"{error.code().name}: {error.details()}")
                    await asyncio.sleep(_PAUSE)
                    continue
                said = service_pb2.ModelInferResponse.FromString(answer)
                worker.answers.append(
                    Answer(
                        time.monotonic(),
                        worker.number,
                        subject,
                        said.raw_output_contents[0][4:].decode(),
                        said.parameters["prediction_id"].string_param,
                    )
                )


def _question(photo: bytes) -> bytes:
    request = service_pb2.ModelInferRequest(
        model_name=NAME,
        inputs=[
            service_pb2.ModelInferRequest.InferInputTensor(
                name=ENCODED_IMAGE, datatype="BYTES", shape=(1, 1)
            )
        ],
        outputs=[service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=Output.RELEASE)],
        # A BYTES tensor has each element's length before it.
        raw_input_contents=[struct.pack("<I", len(photo)) + photo],
    )
    serialised: bytes = request.SerializeToString()
    return serialised
