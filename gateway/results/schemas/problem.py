"""The shapes of errors."""

from pydantic import BaseModel, ConfigDict, Field


class ProblemMembers(BaseModel):
    """A problem document (RFC 9457) about one image of a batch."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    code: str
    detail: str = Field(description="Names the input and the remedy.")


class Problem(ProblemMembers):
    """A problem document (RFC 9457)."""

    request_id: str
