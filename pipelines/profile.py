"""A profile: how one way to serve a pipeline differs from the pipeline's own settings."""

from typing import Annotated

from pydantic import Field, JsonValue

from pipelines.enums import Acceleration, Decoding, Kind
from pipelines.fact import Facts, Name

DEFAULT_PROFILE = "default"
"""The profile of every pipeline: its YAML as it stands."""


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

    instead: dict[Name, Name] = Field(default={})
    """Of a member that the default serves: who takes its place and its weight."""
    members: dict[Name, MemberChange] = Field(default={})
    preprocessing: Decoding | None = None
    serving: dict[str, JsonValue] = Field(default={})
    """Keys of the pipeline's `serving`, and the values that stand in place of its own."""
