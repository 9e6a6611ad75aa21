"""Explanations: what a YAML says of showing where the members of a classification looked."""

from pydantic import Field

from pipelines.fact import Facts


class Explanation(Facts):
    """What a request may ask for by `explain`."""

    grid: int = Field(ge=3, le=16)
    """Cells along each side of the image; each member sees the image once without each cell."""
    seconds: float = Field(default=20, gt=0, le=3600)
    """How long an explanation may take, where the request's deadline is not nearer."""
