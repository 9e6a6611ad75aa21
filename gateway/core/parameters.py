"""What a caller may choose for one request; whether a value is allowed, Triton decides."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gateway.errors import Code, RefusedError
from pipelines.protocol import Parameter
from pipelines.spec import PipelineSpec

_NAMES = {str(name) for name in Parameter}
_ALLOWED = ", ".join(Parameter)
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,32}")


@dataclass(frozen=True, slots=True)
class Choices:
    """Request parameters as the caller wrote them."""

    parameters: dict[str, str]

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]], spec: PipelineSpec) -> Self:
        """From the pairs of a query string.

        Raises:
            RefusedError: an unknown parameter, one given twice, or an unknown member.
        """
        parameters: dict[str, str] = {}
        for name, value in pairs:
            if name not in _NAMES:
                shown = name if _PLAIN.fullmatch(name) else "query"
                raise RefusedError(
                    Code.PARAMETER_UNKNOWN,
                    f"{shown}: there is no such parameter. Choose from: {_ALLOWED}.",
                )
            if name in parameters:
                raise RefusedError(
                    Code.PARAMETER_INVALID, f"{name}: it is given twice. Give one value."
                )
            parameters[name] = value
        member = parameters.get(Parameter.MEMBER)
        if member is not None and member not in spec.members:
            known = ", ".join(spec.members)
            raise RefusedError(
                Code.MEMBER_UNKNOWN, f"member: there is none of this name. There are: {known}."
            )
        return cls(parameters)

    def asking(self, parameters: Iterable[Parameter]) -> Self:
        """These, and what is switched on where the caller does not say."""
        return type(self)({str(name): "true" for name in parameters} | self.parameters)

    @property
    def member(self) -> str | None:
        """The one member to hear, if one was chosen."""
        return self.parameters.get(Parameter.MEMBER)

    @property
    def top_k(self) -> int | None:
        """How many classes to show; to be read once Triton has accepted it."""
        text = self.parameters.get(Parameter.TOP_K)
        return None if text is None else int(float(text))
