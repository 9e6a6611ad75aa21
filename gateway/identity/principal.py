"""Who sends a request: the roles that the caller has, and the pipelines that they cover."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gateway.errors import Code, RefusedError

Kind = Literal["nobody", "open", "key", "token", "certificate"]


class Role(StrEnum):
    """What a caller may do with the pipelines that it covers."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    AUDIT = "audit"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, as its credentials say. It never has the credentials themselves."""

    id: str
    """Stays the same when a key is rotated: what limits, budgets and rows are counted under."""
    kind: Kind
    """`nobody`: no credentials were checked yet, or none were asked for. `open`: identity is off,
    every caller may do everything."""
    name: str
    """The owner: callers of one name see each other's predictions. In log lines as `caller`."""
    roles: frozenset[Role]
    pipelines: frozenset[str] | None
    """Names of the pipelines that the roles cover; None is all."""
    credential: str = ""
    """Which of the owner's credentials it was: the id of a key, the `jti` of a token."""
    rate: str | None = None
    """Requests in a time, e.g. `60/min`; None is no limit."""
    budget: str | None = None
    """Money in a time, e.g. `20EUR/month`; None is no limit."""

    @property
    def known(self) -> bool:
        """Whether credentials said who it is."""
        return self.kind not in {"nobody", "open"}

    def covers(self, pipeline: str) -> bool:
        """Whether it may know of a pipeline: see it in lists, ask for its facts."""
        return bool(self.roles) and (self.pipelines is None or pipeline in self.pipelines)

    def may(self, role: Role, pipeline: str | None = None) -> bool:
        """Whether it has the role, and for the pipeline where one is given."""
        return role in self.roles and (pipeline is None or self.covers(pipeline))

    def require(self, role: Role, pipeline: str | None = None) -> None:
        """Lets a caller pass that has the role, and for the pipeline where one is given.

        Raises:
            RefusedError: with `forbidden`.
        """
        if role not in self.roles:
            raise RefusedError(
                Code.FORBIDDEN,
                f"credentials: they do not have the role {role}. Ask the operator for it.",
                reason="forbidden",
            )
        if pipeline is not None:
            self.require_covered(pipeline)

    def require_covered(self, pipeline: str) -> None:
        """Lets a caller pass whose roles, whichever they are, cover the pipeline.

        Raises:
            RefusedError: with `forbidden`, also where there is no such pipeline.
        """
        if not self.covers(pipeline):
            raise RefusedError(
                Code.FORBIDDEN,
                "pipeline: the credentials do not cover it. Ask the operator for it.",
                reason="forbidden",
            )

    def require_all_covered(self) -> None:
        """Lets a caller pass whose roles cover all pipelines.

        Raises:
            RefusedError: with `forbidden`.
        """
        if not self.roles or self.pipelines is not None:
            raise RefusedError(
                Code.FORBIDDEN,
                "credentials: they cover named pipelines only, and this is about all. Ask the "
                "operator for credentials without that limit.",
                reason="forbidden",
            )


NOBODY = Principal("", "nobody", "", frozenset(), frozenset())
"""Who sends a request until credentials are checked: it may do nothing."""
OPEN = Principal("", "open", "", frozenset(Role), None)
"""Every caller where identity is off, which is so on loopback only."""
