"""One inference request without its transport: images, parameters and a deadline."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from gateway.errors import Code, RefusedError
from pipelines.derived import explained_views
from pipelines.enums import Task
from pipelines.formats import ImageFormat, refusal_text, sniff
from pipelines.protocol import Parameter
from pipelines.release import IDENTITY
from pipelines.spec import PipelineSpec

_NAMES = {str(name) for name in Parameter}
_ALLOWED = ", ".join(Parameter)


@dataclass(frozen=True, slots=True)
class Image:
    """One encoded image as sent, or the reason why it was not read."""

    data: bytes
    where: str
    """The input's name for problem details: `file`, `files[3]`."""
    filename: str | None = None
    refusal: RefusedError | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the encoded bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def check(self) -> ImageFormat:
        """The image's format.

        Raises:
            RefusedError: it was not read, is empty, or is no image of a format that is read.
        """
        if self.refusal:
            raise self.refusal
        if not self.data:
            raise RefusedError(
                Code.IMAGE_EMPTY, f"{self.where}: it has no bytes. Send the image's bytes."
            )
        if (found := sniff(self.data)) is None:
            raise RefusedError(Code.IMAGE_FORMAT, f"{self.where}: {refusal_text(self.data)}")
        return found


KEEP_IMAGE = "X-Keep-Image"
"""Header of a request, also in the metadata of a gRPC call: `yes` consents that images are kept."""
SIGNED_RECEIPT = "X-Signed-Receipt"
"""Likewise: `yes` asks for signatures of the receipts."""


def yes_or_no(header: str, said: str | None) -> bool | None:
    """What a header says; None where it is not there.

    Raises:
        RefusedError: it says something else than yes or no.
    """
    if said is None:
        return None
    if (answer := {"yes": True, "no": False}.get(said.strip().lower())) is None:
        raise RefusedError(Code.PARAMETER_INVALID, f"{header}: say yes or no, or leave it out.")
    return answer


SUBJECT = "X-Subject-ID"
"""Header of a request, also in the metadata of a gRPC call: the caller's name of whose image it is.
While two releases answer, all images of a subject are answered by the same one."""
_SUBJECT_LENGTH = 128


def subject_of(said: str | None) -> str | None:
    """The subject that a request names; None where it names none.

    Raises:
        RefusedError: it is empty, too long, or has other characters than visible ASCII.
    """
    if said is None:
        return None
    if not 0 < len(said) <= _SUBJECT_LENGTH or not (said.isascii() and said.isprintable()):
        raise RefusedError(
            Code.PARAMETER_INVALID,
            f"{SUBJECT}: send 1 to {_SUBJECT_LENGTH} visible ASCII characters, or leave it out.",
        )
    return said


RELEASE = "X-Release"
"""Likewise, of an operator: the loaded release that is to answer, whatever the caller's share."""


def release_of(said: str) -> str:
    """The id of the release that a request names.

    Raises:
        RefusedError: it is none.
    """
    if not re.fullmatch(IDENTITY, said):
        raise RefusedError(
            Code.PARAMETER_INVALID,
            f"{RELEASE}: send the id of a release, as answers have it, or leave it out.",
        )
    return said


RESPOND_WITHIN = "X-Respond-Within-Ms"
"""Likewise: within so many milliseconds, from its last byte on, a request is to be answered, in
place of what its pipeline promises."""
_LONGEST_MS = 24 * 3600 * 1000


def respond_within_of(said: str | None) -> float | None:
    """The seconds that a request asks for; None where it asks for none.

    Raises:
        RefusedError: it is no number of milliseconds.
    """
    if said is None:
        return None
    text = said.strip()
    number = int(text) if re.fullmatch("[0-9]{1,8}", text) else 0
    if not 0 < number <= _LONGEST_MS:
        raise RefusedError(
            Code.PARAMETER_INVALID,
            f"{RESPOND_WITHIN}: send a whole number from 1 to {_LONGEST_MS}, or leave it out.",
        )
    return number / 1000


@dataclass(frozen=True, slots=True)
class RequestParameters:
    """Request parameters as the caller wrote them. Triton checks their values."""

    values: dict[str, str]

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]], spec: PipelineSpec) -> Self:
        """Reads pairs of name and value.

        Raises:
            RefusedError: an unknown parameter, one given twice, or an unknown member.
        """
        values: dict[str, str] = {}
        for name, value in pairs:
            if name not in _NAMES:
                # The name is the caller's text and is not repeated.
                raise RefusedError(
                    Code.PARAMETER_UNKNOWN,
                    f"query: it has a parameter that there is not. Choose from: {_ALLOWED}.",
                )
            if name in values:
                raise RefusedError(
                    Code.PARAMETER_INVALID, f"{name}: it is given twice. Give one value."
                )
            values[name] = value
        if Parameter.EXPLAIN in values and spec.explanation is None:
            why = (
                "is no classification"
                if spec.task is not Task.CLASSIFICATION
                else "is served without explanations"
            )
            raise RefusedError(
                Code.PARAMETER_INVALID, f"explain: {spec.name} {why}. Leave the parameter out."
            )
        member = values.get(Parameter.MEMBER)
        if member is not None and member not in spec.members:
            known = ", ".join(spec.members)
            raise RefusedError(
                Code.MEMBER_UNKNOWN, f"member: there is none of this name. There are: {known}."
            )
        return cls(values)

    def with_defaults(self, switched_on: Iterable[Parameter]) -> Self:
        """These, and the given parameters as `true` where the caller did not set them."""
        return type(self)({str(name): "true" for name in switched_on} | self.values)

    @property
    def member(self) -> str | None:
        """The one member that the caller chose, if any."""
        return self.values.get(Parameter.MEMBER)

    @property
    def explain(self) -> bool:
        """Whether the caller asks where the members looked; of a value that Triton refuses, too."""
        said = self.values.get(Parameter.EXPLAIN, "false")
        return said.strip().lower() not in {"false", "0"}

    def check_images(self, count: int) -> None:
        """Refuses to explain several images in one request.

        Raises:
            RefusedError: with `parameter_invalid`.
        """
        if self.explain and count > 1:
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "explain: it is for one image. Send each image in a request of its own.",
            )

    def views(self, spec: PipelineSpec) -> int:
        """As how many images each image of the request counts to limits.

        A member sees a photo that it explains many times, with a part of it hidden.
        """
        if not self.explain or spec.explanation is None:
            return 1
        return 1 + explained_views(spec.explanation.grid)

    @property
    def top_k(self) -> int | None:
        """How many classes to list. Read it only once Triton has accepted the value."""
        text = self.values.get(Parameter.TOP_K)
        return None if text is None else int(float(text))


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time by which a request must be answered, on the event loop's clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline so many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def within(self, seconds: float) -> "Deadline":
        """This deadline, or the one so many seconds from now where that is earlier."""
        return Deadline(min(self.at, asyncio.get_running_loop().time() + seconds))

    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    @asynccontextmanager
    async def enforce(self, detail: str) -> AsyncIterator[None]:
        """Cancels what runs inside once the deadline passes.

        Args:
            detail: the input that was too slow and the remedy, for the caller.

        Raises:
            RefusedError: with code `deadline`.
        """
        limit = asyncio.timeout_at(self.at)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise RefusedError(Code.DEADLINE, detail) from None
