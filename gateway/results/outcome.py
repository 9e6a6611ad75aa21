"""The outcome of one image: what was asked by whom, and the result or the refusal."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from gateway.core.request import Image, RequestParameters
from gateway.errors import RefusedError
from gateway.results.task_handlers import Result
from gateway.triton.outputs import Outputs


def new_prediction_id() -> str:
    """A UUIDv7 (RFC 9562): its first 48 bits are the time in milliseconds, the others random."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image, whatever the transport."""

    caller: str | None
    """Name of the API key; None where keys are not configured."""
    pipeline: str
    image: Image
    """Its `digest` identifies the encoded bytes."""
    parameters: RequestParameters
    result: Result | RefusedError
    outputs: Outputs | None = None
    """Triton's tensors of the image, where there is a result."""
    seconds: float = 0.0
    """From the request to Triton to the result, with the wait for a free call."""
    compute_seconds: Mapping[str, float] | None = None
    """Of each member. None: neither Triton nor the decision step tells it for one request."""
    prediction_id: str = field(default_factory=new_prediction_id)

    @property
    def release(self) -> str | None:
        """The release that answered; None where there is no result."""
        return None if isinstance(self.result, RefusedError) else self.result.pipeline.release

    def answered(self) -> Result:
        """The result.

        Raises:
            RefusedError: there is none.
        """
        if isinstance(self.result, RefusedError):
            raise self.result
        return self.result
