"""Formats a run of the scenarios as Markdown."""

from collections.abc import Iterable

from lab.bench.scenarios import figures
from lab.bench.scenarios.figures import Figure, Row
from lab.bench.scenarios.measurement import LONGEST_POINT, SHARES
from lab.bench.scenarios.points import LAG
from lab.bench.scenarios.rate_search import RESOLUTION
from lab.bench.scenarios.raw import Raw, Scenario
from lab.bench.workload import WORKLOADS
from lab.markdown import table

_NONE = "-"

_HEAD = f"""\
## Open load, by MLPerf Inference's scenarios

Here callers do not wait for each other: requests arrive by a Poisson process at a stated rate, \
whatever becomes of those before. A latency is counted from when a request was *due*, so a server \
(or a generator) that falls behind shows. The audit log is on, as shipped.

- **SingleStream**: one caller, who asks again when it is answered.
- **bound**: five times the unloaded median of the workload's *best* contender, the same for all: \
a slow contender has no longer one.
- **Server**: the highest rate at which 99 of 100 requests get a right answer within the bound; a \
refusal is none. Found by bisection: at a rate higher by {RESOLUTION:.0%} at most it was not so.
- **latency against rate**: at {", ".join(f"{share:.0%}" for share in SHARES)} of the best peer's \
Server rate; percentiles of the right answers, and the share that got none.
- **Offline**: photos that are all at hand, 32 requests under way at a time; of the gateway they \
ask for time, as a batch does (`X-Respond-Within-Ms`), and all else is asked as at a screen. **of \
the limit**: see above, measured just before and after.
- **Overload**: three times the contender's own Server rate. **goodput**: right answers within the \
bound, a second.
- All contenders get the same arrivals in a round; at another rate the same ones, only denser. \
Figures are medians over the rounds; **spread**: largest less smallest, divided by the median.
- The generator is one process, and says how late it sent each request itself. A point in which \
the 99th percentile of that is above {LAG:.0%} of the bound is refused, and measured again.
"""


def of_run(raw: Raw, pictures: str) -> str:
    """The section of one run.

    Args:
        raw: its data.
        pictures: folder of the plots, as seen from the page, and the beginning of their names.
    """
    parts = [_HEAD, _measured(raw)]
    for name in raw.setup.workloads:
        rows = figures.rows(raw, name)
        parts.append(f"### {name}, open load: {WORKLOADS[name].title}\n")
        parts.append(_facts(raw, name))
        if any(row.curve for row in rows):
            parts.append(f"![latency against rate]({pictures}-{name}.png)\n")
        parts += [_scenarios(rows), _curves(rows)]
    return "\n".join([*parts, _failures(raw)])


def _measured(raw: Raw) -> str:
    machine, setup = raw.machine, raw.setup
    width, height = setup.photo_size
    requests = ", ".join(f"{name} {count}" for name, count in setup.requests.items())
    late = [point.late_p99_ms for point in raw.points if not point.lagged]
    lagged = sum(point.lagged for point in raw.points)
    generator = (
        f" The generator's own lateness: {max(late):.1f} ms at most (99th percentile of a point); "
        f"{lagged} of {len(raw.points)} points were refused."
        if late
        else ""
    )
    return (
        f"`{raw.command}` on {raw.started[:10]}: photos of {width} x {height}, rounds: "
        f"{setup.rounds}, requests of a point at least: {requests} (of the curve as many as arrive "
        f"in {LONGEST_POINT:g} s, where that is less); {raw.minutes:.0f} minutes in all. "
        f"Machine: {machine.cores} cores of {machine.cpu}, {machine.memory_gib:.0f} GiB, "
        f"{machine.system}, Python {machine.python}; load average before the run "
        f"{machine.load_average:.1f}.{generator}\n"
    )


def _facts(raw: Raw, workload: str) -> str:
    titles = {each.name: f"{each.title}, {each.protocol}" for each in raw.contenders}
    words = []
    for bound in raw.bounds:
        if bound.workload == workload:
            whose = f"by {titles[bound.contender]}" if bound.contender else "as asked for"
            words.append(f"Bound: {bound.milliseconds:.0f} ms, {whose}.")
    best = figures.reference(raw, workload)
    if best is not None and Scenario.CURVE in raw.setup.scenarios and not raw.setup.rates:
        whose = "best peer" if best[0] in raw.peers else "best contender (no peer was asked)"
        words.append(f"100 % of the curve: {best[1]:.1f}/s, of the {whose}, {titles[best[0]]}.")
    return " ".join(words) + "\n"


def _scenarios(rows: Iterable[Row]) -> str:
    head = (
        "contender",
        "SingleStream p50 / p90 ms",
        "Server, 1/s",
        "spread",
        "Offline, 1/s",
        "of the limit",
        "Overload, arrivals/s",
        "goodput, 1/s",
        "of Server",
        "refused / failed",
        "refusals p50 / p99 ms",
    )
    return table(head, [_scenario_line(row) for row in rows])


def _scenario_line(row: Row) -> tuple[str, ...]:
    over, server = row.overload, row.server
    failed = f" (failed {len(row.failures)} times)" if row.failures else ""
    return (
        f"{row.title}, {row.protocol}{failed}",
        f"{_text(row.single_p50_ms, '{:.1f}')} / {_text(row.single_p90_ms, '{:.1f}')}",
        _text(server, "{:.1f}"),
        _NONE if server is None else f"{server.spread:.0%}",
        _text(row.offline, "{:.1f}"),
        _text(row.offline_ratio, "{:.0%}"),
        _NONE if over is None else f"{over.rate:.1f}",
        _NONE if over is None else f"{over.goodput.median:.1f}",
        f"{over.goodput.median / server.median:.0%}"
        if over and server and server.median
        else _NONE,
        _NONE if over is None else f"{over.refused:.0%} / {over.failed:.0%}",
        f"{_ms(over.refusal_p50_ms)} / {_ms(over.refusal_p99_ms)}" if over else _NONE,
    )


def _curves(rows: Iterable[Row]) -> str:
    shown = [row for row in rows if row.curve]
    if not shown:
        return ""
    rates = sorted({point.rate for row in shown for point in row.curve})
    head = ("p50 / p99 ms (without an answer) at", *(f"{rate:.1f}/s" for rate in rates))
    lines = []
    for row in shown:
        at = {point.rate: point for point in row.curve}
        cells = [
            f"{_ms(point.p50_ms)} / {_ms(point.p99_ms)}"
            + (f" ({point.unanswered:.0%})" if point.unanswered else "")
            if (point := at.get(rate))
            else _NONE
            for rate in rates
        ]
        lines.append((f"{row.title}, {row.protocol}", *cells))
    return table(head, lines)


def _failures(raw: Raw) -> str:
    lines = [
        f"- **{each.contender}** ({each.workload}), {_names(each.scenario)}, round "
        f"{each.round + 1}: {' '.join((each.failed or '').split())}"
        for each in raw.sessions
        if each.failed
    ]
    return "\n".join(["### What failed under open load\n", *lines, ""]) if lines else ""


def _names(scenario: Scenario) -> str:
    return {Scenario.SINGLE_STREAM: "SingleStream"}.get(scenario, scenario.capitalize())


def _text(figure: Figure | None, form: str) -> str:
    return _NONE if figure is None else form.format(figure.median)


def _ms(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004
