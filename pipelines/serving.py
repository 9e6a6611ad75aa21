"""The serving settings of a pipeline: processes, threads, batches, queues."""

from typing import Self

from pydantic import Field, model_validator

from pipelines.fact import Facts

_A_SECOND = 1000
"""In milliseconds. Not written where it holds: so releases from before it keep their ids."""


class Decode(Facts):
    """Processes of the decode step, and the threads of each that decode a batch side by side."""

    instances: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=256)


class Decision(Facts):
    """Processes of the decision step, which asks the members and waits for them."""

    instances: int = Field(default=2, ge=1, le=64)


class Serving(Facts):
    """Batching and queueing in Triton."""

    max_batch: int = Field(ge=1, le=1024)
    respond_within_ms: int = Field(
        default=_A_SECOND, ge=1, le=3_600_000, exclude_if=lambda said: said == _A_SECOND
    )
    """Within how many milliseconds callers want an answer. Who would wait longer is refused at
    once, unless it asks for more time."""
    queue_delay_us: int = Field(ge=0)
    """How long a request may wait for others to share its batch, in microseconds."""
    queue_size: int | None = Field(default=None, ge=1)
    """Requests that may wait for one model in Triton; more are refused. None: as many as the
    gateway lets in. With a bound of either kind, processes rest while work waits
    (docs/decisions/0025)."""
    queue_timeout_ms: int | None = Field(default=None, ge=1)
    """How long a request may wait for one model in Triton, where it says nothing itself."""
    one_process: bool = False
    """Whether the decision step decodes and runs the members itself, in each of its processes.

    Beside a small network, the way to another process and back is dear. Then `decode` and the
    members' `instances` say nothing: each process of `decision` does all for its images."""
    decode: Decode = Decode()
    decision: Decision = Decision()

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.queue_delay_us > self.respond_within_ms * 500:
            raise ValueError(
                "queue_delay_us: a request would wait for others for more than half of "
                "respond_within_ms"
            )
        return self

    @property
    def respond_within(self) -> float:
        """Seconds within which callers want an answer."""
        return self.respond_within_ms / 1000
