"""The facts in every answer: its request, its pipeline and the members that answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NotRequired, cast

from typing_extensions import TypedDict

from database.chain import Receipt
from gateway.core.catalog import Pipeline
from gateway.core.request import RequestParameters
from gateway.results.shapes import Accounted, MemberFacts, ReceiptFacts
from pipelines.enums import Decoding


@dataclass(frozen=True, slots=True)
class Account:
    """Where the audit log has the row of an image."""

    prediction_id: str
    receipt: Receipt
    kept: bool | None = None
    """Whether the image was kept; None where the request says nothing of it."""

    def facts(self) -> Accounted:
        """As the answers show it."""
        receipt = cast("ReceiptFacts", self.receipt.as_json())
        found: Accounted = {"prediction_id": self.prediction_id, "receipt": receipt}
        if self.kept is not None:
            found["kept"] = self.kept
        return found


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an answer says of its request."""

    request_id: str
    processing_time_ms: float
    """From the request's headers to the rendering of the answer."""


@dataclass(frozen=True, slots=True)
class ImageStamp(Stamp):
    """What the answer about one image says of its request and of its row in the audit log."""

    account: Account


class Origin(TypedDict):
    """Which release answered."""

    pipeline: str
    release: str
    member: NotRequired[str]


class Basis(TypedDict):
    """What the answer rests on."""

    threshold: NotRequired[float]
    preprocessing: Decoding
    weights: NotRequired[Literal["demo"]]


def origin(pipeline: Pipeline, parameters: RequestParameters) -> Origin:
    """The pipeline, its release and, where the request chose one, the member."""
    found: Origin = {"pipeline": pipeline.name, "release": pipeline.release}
    if parameters.member is not None:
        found["member"] = parameters.member
    return found


def basis(pipeline: Pipeline, threshold: float | None) -> Basis:
    """The threshold, where one decided, the preprocessing, and whether weights are for a demo."""
    found: Basis = {"preprocessing": pipeline.spec.preprocessing.decoding}
    if threshold is not None:
        found = {"threshold": threshold, **found}
    if pipeline.demo:
        found["weights"] = "demo"
    return found


def member_facts(pipeline: Pipeline, members: Iterable[str]) -> dict[str, MemberFacts]:
    """Version and SHA-256 of the artefact of each member."""
    return {name: artefact(pipeline, name) for name in members}


def artefact(pipeline: Pipeline, member: str) -> MemberFacts:
    """Version and SHA-256 of one member's artefact."""
    found = pipeline.artefacts[member]
    return {"version": found.version, "sha256": found.sha256}
