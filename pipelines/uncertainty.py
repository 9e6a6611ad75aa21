"""The uncertainty levels of an answer: bands of disagreement and margin."""

from pydantic import Field

from pipelines.fact import Facts, Probability


class Band(Facts):
    """An uncertainty level that holds up to a disagreement and down to a margin."""

    disagreement_at_most: Probability
    margin_at_least: Probability
    recommendation: str = Field(min_length=1)


class Advice(Facts):
    """What an answer recommends."""

    recommendation: str = Field(min_length=1)


class Uncertainty(Facts):
    """The bands of the levels 0 (low), 1 (medium) and 2 (high)."""

    low: Band
    medium: Band
    high: Advice
    """The level that holds where no other does."""
    no_call: Advice | None = None
    """In place of that of `high`, where the prediction set forbids to rely on the predicted class;
    the level is then `high`. None: as of `high`."""

    @property
    def levels(self) -> tuple[tuple[str, str], ...]:
        """Name and recommendation of each level, by its number."""
        return (
            ("low", self.low.recommendation),
            ("medium", self.medium.recommendation),
            ("high", self.high.recommendation),
        )
