"""Which members an export converts, quantises and publishes, given the checkpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from export.errors import UnknownMemberError
from pipelines.spec import PipelineSpec


@dataclass(frozen=True)
class Plan:
    """Members by what becomes of them."""

    published: list[str]
    converted: dict[str, Path]
    """Each with its checkpoint; an INT8 member's original is among them, published or not."""
    quantised: list[str]


def plan(
    spec: PipelineSpec, checkpoints: dict[str, Path], members: Iterable[str] | None = None
) -> Plan:
    """Which of some members these checkpoints make.

    Args:
        spec: facts that have the members, and the originals of those in INT8.
        checkpoints: by the member that each is given for.
        members: those wanted; None: all of the spec.

    Raises:
        UnknownMemberError: a checkpoint is for no member, or makes none of those wanted.
    """
    _require_known(spec, checkpoints)
    wanted = list(spec.members if members is None else members)
    published = [name for name in wanted if spec.origin(name) in checkpoints]
    if unused := checkpoints.keys() - {spec.origin(name) for name in published}:
        raise UnknownMemberError(
            f"{spec.name}: nothing is made from the checkpoint of {', '.join(sorted(unused))}, but "
            f"{', '.join(wanted)} of others: leave it out, or choose another --profile"
        )
    quantised = [name for name in published if spec.members[name].quantisation]
    originals = [
        member.quantisation.of for name in quantised if (member := spec.members[name]).quantisation
    ]
    plain = [name for name in [*published, *originals] if name not in quantised]
    converted = {name: checkpoints[spec.origin(name)] for name in plain}
    return Plan(published, converted, quantised)


def _require_known(spec: PipelineSpec, checkpoints: Iterable[str]) -> None:
    for name in checkpoints:
        if name not in spec.members:
            own = [member for member in spec.members if spec.origin(member) == member]
            raise UnknownMemberError(
                f"{spec.name} has no member {name!r}; its members are: " + ", ".join(own)
            )
        if (origin := spec.origin(name)) != name:
            raise UnknownMemberError(
                f"{name} takes no checkpoint of its own: it is made from that of {origin}. "
                f"Give --checkpoint {origin}=FILE"
            )
