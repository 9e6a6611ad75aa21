"""The parameters of a pipeline's serving that can be tuned, and their YAML."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Self

from gateway.settings import Settings
from pipelines.profile import DEFAULT_PROFILE
from pipelines.spec import PipelineSpec

CALLS = "GATEWAY_TRITON_CALLS"


@dataclass(frozen=True)
class Shape:
    """How cores are used: processes, and the threads of each."""

    instances: int
    threads: int

    def __str__(self) -> str:
        return f"{self.instances} x {self.threads}"


@dataclass(frozen=True)
class MemberSetting:
    """Of one model."""

    shape: Shape
    max_batch: int
    """0 where it takes no batches."""


@dataclass(frozen=True)
class Setting:
    """Of a pipeline under one profile, and of the gateway before it."""

    members: Mapping[str, MemberSetting]
    decode: Shape
    decisions: int
    """Processes of the decision step."""
    delay_us: int
    calls: int

    @classmethod
    def of(cls, spec: PipelineSpec) -> Self:
        """As a pipeline is served now."""
        serving = spec.serving
        return cls(
            members={
                name: MemberSetting(Shape(member.instances, member.threads), spec.max_batch(name))
                for name, member in spec.members.items()
            },
            decode=Shape(serving.decode.instances, serving.decode.threads),
            decisions=serving.decision.instances,
            delay_us=serving.queue_delay_us,
            calls=int(Settings.model_fields["triton_calls"].default),
        )

    @property
    def environment(self) -> dict[str, str]:
        """Of the gateway."""
        return {CALLS: str(self.calls)}


def changes(before: Setting, after: Setting) -> dict[str, Any]:
    """Keys of a pipeline's YAML that differ, with their new values; empty where none do."""
    members: dict[str, Any] = {}
    for name, member in after.members.items():
        old = before.members[name]
        changed = _shape(old.shape, member.shape)
        if member.max_batch != old.max_batch:
            changed["max_batch"] = member.max_batch
        if changed:
            members[name] = changed
    serving: dict[str, Any] = {}
    if after.delay_us != before.delay_us:
        serving["queue_delay_us"] = after.delay_us
    if decode := _shape(before.decode, after.decode):
        serving["decode"] = decode
    if after.decisions != before.decisions:
        serving["decision"] = {"instances": after.decisions}
    parts = {"members": members, "serving": serving}
    return {key: value for key, value in parts.items() if value}


def nested(changed: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """Changes where a pipeline's YAML has them: at its top, or in a profile."""
    if profile == DEFAULT_PROFILE or not changed:
        return dict(changed)
    return {"profiles": {profile: dict(changed)}}


def merge(facts: MutableMapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Puts changes into a YAML's content, in place; what they leave out stays.

    `facts` may be a plain dict or one that keeps comments.
    """
    for key, value in changed.items():
        if isinstance(value, Mapping):
            merge(facts.setdefault(key, {}), value)
        else:
            facts[key] = value


def _shape(before: Shape, after: Shape) -> dict[str, int]:
    # Both keys, even where one stays: they belong together.
    return {"instances": after.instances, "threads": after.threads} if after != before else {}
