"""Compares two reports of the same task."""

from evaluation import compare_classifiers, compare_detectors
from evaluation.comparison import Comparison
from evaluation.errors import EvaluationError
from evaluation.report import ClassificationReport, DetectionReport, Report


def compare(first: Report, second: Report, *, common: bool = False) -> Comparison:
    """Compares two runs.

    Args:
        first: The run to compare with, such as the current model's.
        second: The run to compare, such as a new model's.
        common: Whether to compare the shared photos only, where the label sets differ.

    Raises:
        EvaluationError: They cannot be compared; it says why.
    """
    check_alike(first, second)
    if isinstance(first, ClassificationReport) and isinstance(second, ClassificationReport):
        return compare_classifiers.compare(first, second, common=common)
    if isinstance(first, DetectionReport) and isinstance(second, DetectionReport):
        return compare_detectors.compare(first, second, common=common)
    raise AssertionError("reports of the same task are of the same kind")


def check_alike(first: Report, second: Report) -> None:
    """Refuses reports of different tasks or classes.

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
