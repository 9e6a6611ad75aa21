"""A classification report as tables."""

from rich.console import Group, RenderableType
from rich.table import Table

from evaluation.metrics.sets import SetScores
from evaluation.metrics.sweep import OperatingPoint
from evaluation.report import ClassificationReport, Reliability, Sweep
from evaluation.tables.layout import head, interval, number, table

_SWEPT = ("sensitivity", "specificity", "ppv", "npv", "f1")
_EVERY = 0.1  # of the sweep's thresholds; the report has them all
_MOST_CLASSES = 12  # a wider confusion matrix is only readable in the plot


def render(report: ClassificationReport) -> Group:
    """The main figures; the report has all of them."""
    parts: list[RenderableType] = [*head(report), "", _scores(report), "", _levels(report)]
    if report.sets is not None:
        parts += ["", _sets(report.sets)]
    if report.positive is None:
        parts += ["", _recalls(report)]
    if len(report.classes) <= _MOST_CLASSES:
        parts += ["", _confusion(report)]
    if report.sweep is not None:
        parts += ["", _sweep(report.sweep, report.threshold)]
    return Group(*parts)


def _scores(report: ClassificationReport) -> Table:
    scores = report.scores
    rows = table("metric", "value", "95 % interval")
    rows.add_row("accuracy", number(scores.accuracy), interval(scores.accuracy))
    rows.add_row("balanced accuracy", number(scores.balanced_accuracy))
    if report.positive is not None:
        for name, share in (
            ("sensitivity", scores.sensitivity),
            ("specificity", scores.specificity),
        ):
            rows.add_row(name, number(share), interval(share))
    kind = "macro" if report.positive is None else report.positive
    rows.add_row(f"F1 ({kind})", number(scores.f1))
    rows.add_row("ROC-AUC", number(scores.roc_auc))
    rows.add_row("average precision", number(scores.average_precision))
    error = "expected calibration error"
    rows.add_row(error, number(scores.expected_calibration_error), _span(report.reliability))
    if (before := report.reliability_before) is not None:
        value = number(before.expected_calibration_error)
        rows.add_row(f"{error}, without calibration", value, _span(before))
    rows.add_row("Brier score", number(scores.brier))
    return rows


def _span(reliability: Reliability | None) -> str:
    return "" if reliability is None else f"{reliability.low:.3f} to {reliability.high:.3f}"


def _sets(sets: SetScores) -> Table:
    rows = table(f"prediction sets for {sets.stated:.0%}", "value", "95 % interval")
    rows.add_row("hold the true class", number(sets.coverage), interval(sets.coverage))
    if len(sets.coverage_of_class) <= _MOST_CLASSES:
        for name, each in sets.coverage_of_class.items():
            rows.add_row(f"of {name}", number(each), interval(each))
    rows.add_row("classes in a set", f"{sets.mean_size:.2f}")
    rows.add_row("without a class", number(sets.empty), interval(sets.empty))
    return rows


def _recalls(report: ClassificationReport) -> Table:
    rows = table("class", "recall", "95 % interval")
    for name, share in report.scores.recall.items():
        rows.add_row(name, number(share), interval(share))
    return rows


def _levels(report: ClassificationReport) -> Table:
    rows = table("uncertainty", "share of answers", "accuracy", "95 % interval")
    for each in report.levels:
        rows.add_row(
            each.level,
            number(each.share),
            number(each.accuracy),
            interval(each.accuracy),
        )
    return rows


def _confusion(report: ClassificationReport) -> Table:
    numbers = [str(place) for place in range(1, len(report.classes) + 1)]
    rows = table("true class, and the predicted", *numbers)
    for place, (name, counts) in enumerate(
        zip(report.classes, report.scores.confusion, strict=True), 1
    ):
        rows.add_row(f"{place} {name}", *map(str, counts))
    return rows


def _sweep(sweep: Sweep, decided: float | None) -> Table:
    rows = table("threshold", "sensitivity", "specificity", "PPV", "NPV", "F1", "")
    for point in sweep.points:
        marks = _marks(point, sweep, decided)
        if marks or _is_multiple(point.threshold):
            values = [number(getattr(point, name)) for name in _SWEPT]
            rows.add_row(f"{point.threshold:.2f}", *values, ", ".join(marks))
    return rows


def _marks(point: OperatingPoint, sweep: Sweep, decided: float | None) -> list[str]:
    marks = ["the pipeline's"] if point.threshold == sweep.default else []
    if decided is not None and point.threshold == decided != sweep.default:
        marks.append("this run's")
    if point == sweep.best:
        marks.append("best by Youden, on these photos")
    return marks


def _is_multiple(threshold: float) -> bool:
    steps = threshold / _EVERY
    return abs(steps - round(steps)) < 1e-6  # noqa: PLR2004 - thresholds have two digits
