"""A profile: how one way to serve a pipeline differs from the pipeline's own settings."""

from typing import Annotated

from pydantic import Field, JsonValue

from pipelines.enums import Acceleration, Decoding, Kind
from pipelines.fact import Facts, Name

DEFAULT_PROFILE = "default"
"""The profile of every pipeline: its YAML as it stands."""


EMBEDDED_PROFILE = "embedded"
"""Stands for the profile of each pipeline that the embedded Triton takes on a CPU."""


class MemberChange(Facts):
    """What a profile says of one member; what it leaves out stays."""

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """0: asked only by its name; null: not served."""
    instances: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=256)
    max_batch: int | None = Field(default=None, ge=1, le=1024)
    kind: Kind = Kind.CPU
    acceleration: Acceleration | None = None


class Profile(Facts):
    """Differences from the default profile."""

    embedded: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """That the embedded Triton takes it on a CPU where nobody asks for a profile: what it gains,
    with figures and where they were measured."""
    instead: dict[Name, Name] = Field(default={})
    """Of a member that the default serves: who takes its place and its weight."""
    members: dict[Name, MemberChange] = Field(default={})
    preprocessing: Decoding | None = None
    serving: dict[str, JsonValue] = Field(default={})
    """Keys of the pipeline's `serving`, and the values that stand in place of its own."""
