"""The health probe: sends one small image through a pipeline and classifies the outcome."""

import re
import time
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import tritonclient.grpc as triton

from pipelines import protocol
from server.triton.connection import Connection

_UNHEALTHY = re.compile(r"Stub process '(?P<instance>[^']+)' is not healthy")
_GONE = re.compile(r"is not ready|unknown model|not found|no available versions", re.IGNORECASE)


class Health(Enum):
    """What a probe found. A busy Triton is healthy."""

    ANSWERED = auto()
    BUSY = auto()
    SILENT = auto()
    """No answer within the deadline: a full queue, or a process that hangs."""
    PROCESS_DEAD = auto()
    NOT_LOADED = auto()
    UNREACHABLE = auto()
    FAILED = auto()
    """It answered with an error of the model's own: no process needs replacing."""


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of one probe."""

    health: Health
    message: str = ""
    instance: str = ""
    """The model instance that Triton blames, where it names one."""
    seconds: float = 0.0
    """How long an answer took."""


def probe(connection: Connection, pipeline: str, deadline: float) -> ProbeResult:
    """Sends a tiny valid image through a pipeline's ensemble; `deadline` in seconds."""
    image = triton.InferInput(protocol.ENCODED_IMAGE, [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[protocol.PROBE_IMAGE]], dtype=object))
    started = time.monotonic()
    with connection.client() as client:
        try:
            client.infer(pipeline, [image], client_timeout=deadline)
        except triton.InferenceServerException as error:
            return judge(str(error.status()), error.message())
    return ProbeResult(Health.ANSWERED, seconds=time.monotonic() - started)


def judge(status: str, message: str) -> ProbeResult:
    """Tells a dead process from a busy one by the gRPC status and Triton's message."""
    if unhealthy := _UNHEALTHY.search(message):
        return ProbeResult(Health.PROCESS_DEAD, message, unhealthy["instance"])
    if "DEADLINE_EXCEEDED" in status or "timeout" in message.lower():
        return ProbeResult(Health.SILENT, message)
    if "maximum queue size" in message:
        return ProbeResult(Health.BUSY, message)
    if _GONE.search(message):
        return ProbeResult(Health.NOT_LOADED, message)
    if "UNAVAILABLE" in status:
        return ProbeResult(Health.UNREACHABLE, message)
    return ProbeResult(Health.FAILED, message)
