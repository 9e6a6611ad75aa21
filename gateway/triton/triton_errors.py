"""Maps Triton's error messages to refusals; no other module reads them."""

from gateway.errors import Code, RefusedError
from pipelines import protocol

_AGAIN = "Try again after the seconds in Retry-After."
_ABSENT = "pipeline: its models cannot be reached. " + _AGAIN
_DIED = "pipeline: a process that runs its models died and is being replaced. " + _AGAIN
_FULL = "request: the queue for the models is full. " + _AGAIN
_MEMORY = "request: the models have no memory left for it. " + _AGAIN
_SHARED_MEMORY = (
    "pipeline: its processes have no shared memory left (/dev/shm), which the service's operator "
    "can enlarge. " + _AGAIN
)
PAUSED = "service: it stood still for seconds, so this answer is not trusted. " + _AGAIN
LATE = "request: the models did not answer in time. Send it again, or fewer at a time."
_NOT_EXPLAINED = (
    "explain: where the members looked was not found in time. Ask again when the service is less "
    "busy, or without it."
)
_FAILED = "request: the models failed on it. Report the request_id to the service's operator."

_BY_MESSAGE = (
    ("exceeds maximum queue size", Code.BUSY, _FULL),
    ("request timeout expired", Code.DEADLINE, LATE),
    (protocol.EXPLANATION_LATE, Code.DEADLINE, _NOT_EXPLAINED),
    # CUDA, TensorRT and PyTorch; then ONNX Runtime's own allocator.
    ("out of memory", Code.OUT_OF_MEMORY, _MEMORY),
    ("failed to allocate memory", Code.OUT_OF_MEMORY, _MEMORY),
    # "Failed to increase the shared memory pool size for key ...", and the same of a new region.
    ("shared memory region", Code.UNAVAILABLE, _SHARED_MEMORY),
    # "Stub process 'x_0_0' is not healthy." comes as INTERNAL.
    ("stub process", Code.UNAVAILABLE, _DIED),
    # A Triton that dies amid a call: UNKNOWN or INTERNAL.
    ("stream removed", Code.UNAVAILABLE, _ABSENT),
    ("rst_stream", Code.UNAVAILABLE, _ABSENT),
)
_NOT_SERVING = (
    # Triton's, while it ends or loads its models.
    "unknown model",
    "not at ready state",
    "server not ready",
    # gRPC's, of a Triton that is not there; of all where there are several.
    "failed to connect",
    "connections to all backends failing",
)
"""What is said with UNAVAILABLE or NOT_FOUND where nothing was computed."""
_BY_STATUS = {
    "DEADLINE_EXCEEDED": (Code.DEADLINE, LATE),
    "UNAVAILABLE": (Code.UNAVAILABLE, _ABSENT),
    # Only models that Triton has listed are asked: this one is being loaded anew, or draining.
    "NOT_FOUND": (Code.UNAVAILABLE, _ABSENT),
    # The gateway's own cancellations never come here; this one is the server's.
    "CANCELLED": (Code.UNAVAILABLE, _ABSENT),
}


class CostlyImageError(RefusedError):
    """An image of the request is costly to decode, and Triton wants it apart from others."""

    def __init__(self) -> None:
        super().__init__(Code.INTERNAL, _FAILED)


class NotServingError(RefusedError):
    """A Triton is ending, loading, or not there: it has computed nothing, and another one may."""

    def __init__(self) -> None:
        super().__init__(Code.UNAVAILABLE, _ABSENT)


def translate(status: str, message: str) -> RefusedError:
    """The refusal that an error of Triton means. UNAVAILABLE has many meanings, so texts count.

    Args:
        status: name of the gRPC status code.
        message: the text of Triton or of gRPC.
    """
    if ours := protocol.parse_refusal(message):
        return RefusedError(Code(ours[0]), ours[1])
    if protocol.COSTLY in message:
        return CostlyImageError()
    lowered = message.lower()
    for words, code, detail in _BY_MESSAGE:
        if words in lowered:
            return RefusedError(code, detail)
    if status in {"UNAVAILABLE", "NOT_FOUND"} and any(words in lowered for words in _NOT_SERVING):
        return NotServingError()
    return RefusedError(*_BY_STATUS.get(status, (Code.INTERNAL, _FAILED)))
