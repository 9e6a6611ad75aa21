"""Compares two reports, whatever their task."""

from evaluation import classifiers_compared, detectors_compared
from evaluation.comparison import Comparison
from evaluation.errors import EvaluationError
from evaluation.report import ClassificationReport, DetectionReport, Report


def compare(first: Report, second: Report, *, common: bool = False) -> Comparison:
    """Puts two runs side by side.

    Args:
        first: The one that stands, say the current model's.
        second: The one that is held against it.
        common: Whether to go on with the shared photos where the label sets differ.

    Raises:
        EvaluationError: They cannot be compared; it says why.
    """
    check_alike(first, second)
    if isinstance(first, ClassificationReport) and isinstance(second, ClassificationReport):
        return classifiers_compared.compare(first, second, common=common)
    if isinstance(first, DetectionReport) and isinstance(second, DetectionReport):
        return detectors_compared.compare(first, second, common=common)
    raise AssertionError("reports of the same task are of the same kind")


def check_alike(first: Report, second: Report) -> None:
    """Refuses reports that no photos could make comparable.

    Raises:
        EvaluationError: Their tasks or classes differ.
    """
    for what, one, other in (
        ("tasks", [first.task], [second.task]),
        ("classes", first.classes, second.classes),
    ):
        if one != other:
            raise EvaluationError(
                f"{first.title} and {second.title} have different {what} ({', '.join(one)}; "
                f"{', '.join(other)}); compare two runs with the same"
            )
