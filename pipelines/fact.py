"""The base types of a YAML's facts: frozen models that refuse unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=48)]
"""Of a pipeline, member or architecture."""
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.()'/-]*$", max_length=64)]
"""Of a class."""
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rgb = tuple[Positive, Positive, Positive]


class Facts(BaseModel):
    """Base of all parts of a pipeline's YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
