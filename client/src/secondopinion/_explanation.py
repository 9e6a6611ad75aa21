"""Where the members of a classifier looked, as types."""

from collections.abc import Mapping

from msgspec import Struct, field


class Faithfulness(Struct, frozen=True, kw_only=True):
    """Whether a map shows what the member's score depends on.

    Attributes:
        hottest_hidden: The score with the hottest tenth of the cells hidden, 0 to 1.
        random_hidden: The score with a random tenth of the other cells hidden, the mean of four.
        faithful: Whether the first is clearly lower. If not, do not rely on the map.
    """

    hottest_hidden: float
    random_hidden: float
    faithful: bool


class MemberExplanation(Struct, frozen=True, kw_only=True):
    """Where one member looked.

    Attributes:
        score: The member's probability of the class that is explained, 0 to 1.
        cells: Rows from the top of the upright photo, each from the left: how far the score falls
            when this cell is hidden, -1 to 1. Below 0 it rises.
    """

    score: float
    cells: tuple[tuple[float, ...], ...]
    faithfulness: Faithfulness


class Explanation(Struct, frozen=True, kw_only=True):
    """Where the members looked that answered.

    Attributes:
        class_name: The predicted class, whose score is explained (`class` in the JSON).
        grid: Cells along each side; together they cover the photo.
    """

    class_name: str = field(name="class")
    grid: int
    members: Mapping[str, MemberExplanation]


class ExplanationFacts(Struct, frozen=True, kw_only=True):
    """How a pipeline shows where its members looked.

    Attributes:
        grid: Cells along each side of the photo.
        images: As how many images a request with `explain` counts to the caller's rate.
    """

    grid: int
    images: int | None = None
