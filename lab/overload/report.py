"""The summary table of an overload run, for a terminal and for docs/loadtest.md."""

from collections.abc import Sequence

from lab.markdown import table
from lab.overload.capacity import Step
from lab.overload.figures import OverloadFigures

SECTION = "overload"
Rows = list[tuple[str, str]]


def rows(figures: OverloadFigures) -> Rows:
    """What was measured, and its value with its unit."""
    busy = ", ".join(f"{part} {share:.2f}" for part, share in figures.cores.items())
    return [
        ("unloaded median", _ms(figures.unloaded_ms)),
        ("peak goodput, stepping up", f"{figures.peak:.2f}/s"),
        ("arrivals in the overload", f"{figures.offered:.2f}/s"),
        ("goodput in the overload", f"{figures.goodput:.2f}/s ({figures.goodput_share:.0%})"),
        ("its worst 20 s", _share(figures.worst_window_share)),
        (
            "answered / refused / failed",
            f"{figures.answered} / {figures.refused} / {figures.failed}",
        ),
        (
            "answers, median / p99",
            f"{_ms(figures.answer_p50_ms)} / {_ms(figures.answer_p99_ms)}",
        ),
        (
            "refusals, median / p99",
            f"{_ms(figures.refusal_p50_ms)} / {_ms(figures.refusal_p99_ms)}",
        ),
        ("recovered after", _recovered(figures)),
        ("memory (PSS), highest", _value(figures.memory_mib, "{:.0f} MiB")),
        ("its slope", _value(figures.memory_slope_mib_per_minute, "{:+.1f} MiB/min")),
        ("polls of /readyz without 200", f"{figures.unready_polls} of {figures.polls}"),
        ("cores kept busy", busy or "not measured"),
        (
            "answers a core-second, peak / overload",
            " / ".join(
                _value(figure, "{:.2f}")
                for figure in (figures.peak_per_core_second, figures.per_core_second)
            ),
        ),
    ]


def section(figures: OverloadFigures, steps: Sequence[Step], circumstances: str) -> str:
    """What docs/loadtest.md shows between its marks.

    Args:
        figures: What was measured.
        steps: How the peak was found.
        circumstances: A sentence about the machine and the service.
    """
    stepped = (
        (
            f"{step.offered:.2f}",
            f"{step.goodput:.2f}",
            _value(step.per_core_second, "{:.2f}"),
            str(step.refused),
        )
        for step in steps
    )
    columns = ("arrivals/s", "answered/s", "answers a core-second", "refused")
    measured = table(("what", "measured"), rows(figures))
    return "\n".join([circumstances, "", measured, table(columns, stepped)])


def _ms(value: float | None) -> str:
    return _value(value, "{:.0f} ms")


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.0%} of the peak"


def _value(value: float | None, form: str) -> str:
    return "not measured" if value is None else form.format(value)


def _recovered(figures: OverloadFigures) -> str:
    if figures.recovery_seconds is None or figures.recovery_ratio is None:
        return "never, within 3 minutes"
    return f"{figures.recovery_seconds:.1f} s ({figures.recovery_ratio:.0f} unloaded medians)"
