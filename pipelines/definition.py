"""The whole content of a pipeline's YAML: all members, the profiles, and the gate's margins."""

from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from pipelines.enums import Format
from pipelines.fact import Facts, Name
from pipelines.gate import ReleaseGate
from pipelines.member import Member
from pipelines.profile import DEFAULT_PROFILE, EMBEDDED_PROFILE, Profile
from pipelines.spec import PipelineSpec

# What a member has from the one that it is made from.
_SAME = ("architecture", "format", "one_logit", "queries", "features")


class CardTexts(Facts):
    """What a model card says that no other fact does; None: it says that nothing is said."""

    intended_use: str | None = None
    not_for: str | None = None
    training_data: str | None = None
    limits: str | None = None
    contact: str | None = None


class PipelineDefinition(PipelineSpec):
    """The facts of a pipeline under all its profiles; as a spec, those of the default one.

    Members without a weight are served only under profiles that name them.
    """

    profiles: dict[Name, Profile] = Field(default={})
    gate: ReleaseGate = ReleaseGate()
    """What a candidate must keep of the current release; not served."""
    card: CardTexts | None = None
    """For the model card (`python -m releases card`); not served."""

    @model_validator(mode="before")
    @classmethod
    def _same_checkpoint_same_facts(cls, data: object) -> object:
        """A member that is made from another one's checkpoint is what that one is."""
        if not isinstance(data, dict) or not isinstance(members := data.get("members"), dict):
            return data
        return {**data, "members": {name: _inheriting(name, members) for name in members}}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, member in self.members.items():
            self._check_origin(name, member)
        if DEFAULT_PROFILE in self.profiles:
            raise ValueError(f"profiles.{DEFAULT_PROFILE}: is reserved: the other keys define it")
        if EMBEDDED_PROFILE in self.profiles:
            raise ValueError(f"profiles.{EMBEDDED_PROFILE}: is reserved: a profile says `embedded`")
        for name in self.profiles:
            self.resolve(name)
        if len(named := [name for name, each in self.profiles.items() if each.embedded]) > 1:
            raise ValueError(f"profiles.{named[1]}.embedded: {named[0]} has it, and one can")
        return self

    def _check_origin(self, name: str, member: Member) -> None:
        if member.checkpoint is not None:
            origin = self.members[member.checkpoint]
            if (member.architecture, member.one_logit) != (origin.architecture, origin.one_logit):
                raise ValueError(f"members.{name}: has the architecture of {member.checkpoint}")
        if member.quantisation is not None:
            original = self.members[member.quantisation.of]
            if original.quantisation is not None:
                raise ValueError(
                    f"members.{name}.quantisation.of: {member.quantisation.of!r} is not FP32"
                )
            if member.features != original.features:
                raise ValueError(f"members.{name}.features: is what {member.quantisation.of} has")
            if {member.format, original.format} != {Format.ONNX}:
                raise ValueError(f"members.{name}: a quantised member must be ONNX, made from ONNX")

    def resolve(self, profile: str) -> PipelineSpec:
        """The facts as a profile serves them, with the members that it serves.

        Raises:
            ValueError: no such profile, or one that says what the pipeline cannot be.
        """
        if profile != DEFAULT_PROFILE and profile not in self.profiles:
            known = ", ".join([DEFAULT_PROFILE, *self.profiles])
            raise ValueError(f"{self.name} has no profile {profile!r}; there are: {known}")
        change = self.profiles.get(profile, Profile())
        facts = self.model_dump(exclude={"profiles", "gate", "card"}) | {"profile": profile}
        facts["members"] = self._served(profile, change, facts["members"])
        if self.typicality is not None and (member := self.typicality.member) is not None:
            member = change.instead.get(member, member)
            # A profile without the member compares the picture's statistics alone.
            answers = member in facts["members"] and facts["members"][member]["weight"]
            facts["typicality"]["member"] = member if answers else None
        if change.preprocessing is not None:
            facts["preprocessing"]["decoding"] = change.preprocessing
        for key, value in change.serving.items():
            inner = facts["serving"].get(key)
            if isinstance(value, dict) and isinstance(inner, dict):
                inner.update(value)
            else:
                facts["serving"][key] = value
        try:
            return PipelineSpec.model_validate(facts)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise ValueError(f"profiles.{profile}: {'; '.join(problems)}") from None

    @property
    def embedded(self) -> str:
        """The profile that the embedded Triton takes on a CPU where nobody asks for one."""
        named = (name for name, each in self.profiles.items() if each.embedded)
        return next(named, DEFAULT_PROFILE)

    def resolve_or_default(self, profile: str) -> PipelineSpec:
        """The facts under a profile or, where the pipeline has none of that name, the default."""
        if profile == EMBEDDED_PROFILE:
            profile = self.embedded
        return self.resolve(profile if profile in self.profiles else DEFAULT_PROFILE)

    def _served(
        self, profile: str, change: Profile, members: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """The members with a weight after a profile's changes, in the YAML's order."""
        for name in [*change.instead, *change.instead.values(), *change.members]:
            if name not in members:
                raise ValueError(f"profiles.{profile}: there is no member {name!r}")
        if len(set(change.instead.values())) != len(change.instead):
            raise ValueError(f"profiles.{profile}.instead: one member replaces two others")
        for name, substitute in change.instead.items():
            if members[name]["weight"] is None:
                raise ValueError(f"profiles.{profile}.instead: {name} is not served by default")
            members[substitute]["weight"], members[name]["weight"] = members[name]["weight"], None
        for name, said in change.members.items():
            members[name] |= said.model_dump(exclude_unset=True)
            if members[name]["weight"] is None and "weight" not in said.model_fields_set:
                raise ValueError(f"profiles.{profile}.members.{name}: is not served: give a weight")
        return {name: facts for name, facts in members.items() if facts["weight"] is not None}


def _inheriting(name: str, members: dict[str, Any], heirs: tuple[str, ...] = ()) -> object:
    """A member's facts with those of the member that it is made from, and so on."""
    member = members[name]
    source = _source(member)
    if source is None:
        return member
    if source not in members:
        raise ValueError(f"members.{name}: there is no member {source!r}")
    if source in (heirs := (*heirs, name)):
        raise ValueError(f"members.{name}: is made from itself")
    original = _inheriting(source, members, heirs)
    if not isinstance(original, dict):
        return member
    same = {key: original[key] for key in _SAME if key in original}
    return same | member | {"checkpoint": original.get("checkpoint", source)}


def _source(member: object) -> str | None:
    """The member that a YAML's member says it is made from."""
    if not isinstance(member, dict):
        return None
    quantisation = member.get("quantisation")
    of = quantisation.get("of") if isinstance(quantisation, dict) else member.get("checkpoint")
    return of if isinstance(of, str) else None
