"""One real inference through a pipeline, and what its outcome says about Triton's health."""

import re
import time
from dataclasses import dataclass
from enum import Enum, auto
from io import BytesIO

import numpy as np
import tritonclient.grpc as triton
from PIL import Image

from pipelines import protocol
from server.triton.connection import Connection

_UNHEALTHY = re.compile(r"Stub process '(?P<instance>[^']+)' is not healthy")
_GONE = re.compile(r"is not ready|unknown model|not found|no available versions", re.IGNORECASE)


class Health(Enum):
    """What a probe found; a busy Triton is a healthy one."""

    ANSWERED = auto()
    BUSY = auto()
    SILENT = auto()
    """No answer within the deadline: a full queue, or a process that hangs."""
    STUB_DEAD = auto()
    NOT_LOADED = auto()
    UNREACHABLE = auto()
    FAILED = auto()
    """It answered with an error of the model's own: no process needs replacing."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one probe."""

    health: Health
    message: str = ""
    instance: str = ""
    """The model instance that Triton blames, where it names one."""
    seconds: float = 0.0
    """How long an answer took."""


def probe(connection: Connection, pipeline: str, deadline: float) -> Finding:
    """Sends a tiny valid image through a pipeline's ensemble; `deadline` in seconds."""
    image = triton.InferInput(protocol.ENCODED_IMAGE, [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[_PNG]], dtype=object))
    started = time.monotonic()
    with connection.client() as client:
        try:
            client.infer(pipeline, [image], client_timeout=deadline)
        except triton.InferenceServerException as error:
            return judge(str(error.status()), error.message())
    return Finding(Health.ANSWERED, seconds=time.monotonic() - started)


def judge(status: str, message: str) -> Finding:
    """Tells death from load by gRPC status and Triton's words."""
    if unhealthy := _UNHEALTHY.search(message):
        return Finding(Health.STUB_DEAD, message, unhealthy["instance"])
    if "DEADLINE_EXCEEDED" in status or "timeout" in message.lower():
        return Finding(Health.SILENT, message)
    if "maximum queue size" in message:
        return Finding(Health.BUSY, message)
    if _GONE.search(message):
        return Finding(Health.NOT_LOADED, message)
    if "UNAVAILABLE" in status:
        return Finding(Health.UNREACHABLE, message)
    return Finding(Health.FAILED, message)


def _tiny_png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (32, 24), (160, 90, 80)).save(file, "PNG")
    return file.getvalue()


_PNG = _tiny_png()
