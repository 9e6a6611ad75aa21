"""The uncertainty levels of an answer: bands of disagreement and margin."""

from pydantic import Field

from pipelines.fact import Facts, Probability


class Band(Facts):
    """An uncertainty level that holds up to a disagreement and down to a margin."""

    disagreement_at_most: Probability
    margin_at_least: Probability
    recommendation: str = Field(min_length=1)


class LastBand(Facts):
    """The level that holds where no other does."""

    recommendation: str = Field(min_length=1)


class Uncertainty(Facts):
    """The bands of the levels 0 (low), 1 (medium) and 2 (high)."""

    low: Band
    medium: Band
    high: LastBand

    @property
    def levels(self) -> tuple[tuple[str, str], ...]:
        """Name and recommendation of each level, by its number."""
        return tuple((name, getattr(self, name).recommendation) for name in type(self).model_fields)
