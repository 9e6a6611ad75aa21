"""Formats one run as Markdown tables."""

from collections.abc import Callable, Sequence

from lab.bench import figures
from lab.bench.figures import Load, Row
from lab.bench.raw import Raw
from lab.bench.workload import WORKLOADS
from lab.markdown import table

_NONE = "-"
_DECODINGS = {
    "exact": "Decoded exactly as in training (Pillow, full JPEG, bilinear)",
    "fast": "Decoded fast (the JPEG's own scaled decoding, then bilinear)",
}


def of_run(raw: Raw, picture: str) -> str:
    """The section of one run."""
    parts = [f"## {_DECODINGS[raw.decoding]}\n", _measured(raw), f"![images a second]({picture})\n"]
    for name in raw.workloads:
        workload = WORKLOADS[name]
        parts.append(f"### {name}: {workload.title}\n")
        if workload.against in raw.workloads:
            parts.append(f"Ratios are to the limit of *{workload.against}*.\n")
        rows = figures.rows(raw, name)
        parts += [_speed(raw, name, rows), _rest(raw, rows)]
    return "\n".join([*parts, _setups(raw), _failures(raw)])


def _measured(raw: Raw) -> str:
    machine = raw.machine
    levels = ", ".join(map(str, raw.concurrency))
    width, height = raw.photo_size
    lasting = ", ".join(
        f"{name} {raw.seconds * WORKLOADS[name].longer:g} s" for name in raw.workloads
    )
    return (
        f"`{raw.command}` on {raw.started[:10]}: photos of {width} x {height}, {raw.rounds} rounds "
        f"of cells ({lasting}), callers {levels}; {raw.minutes:.0f} minutes in all. "
        f"Machine: {machine.cores} cores "
        f"of {machine.cpu}, {machine.memory_gib:.0f} GiB, {machine.system}, Python "
        f"{machine.python}; load average before the run {machine.load_average:.1f}.\n"
    )


def _speed(raw: Raw, workload: str, rows: list[Row]) -> str:
    levels = " / ".join(map(str, raw.concurrency))
    head = (
        "contender",
        f"images/s at {levels}",
        "of the limit",
        f"CPU ms an image at {levels}",
        "x limit",
        "spread of images/s, of the ratio",
    )
    limit = figures.limit_row(raw, workload)
    lines = [
        (
            f"**limit** ({limit.shape})",
            f"{limit.rate:.1f}",
            f"{100 * limit.ratio:.0f} %",
            f"{limit.cpu_ms:.1f}",
            f"{limit.cpu_ratio:.2f}",
            f"{limit.spread:.0%}",
        )
    ]
    for row in rows:
        loads = [row.loads.get(level) for level in raw.concurrency]
        lines.append(
            (
                _title(row),
                _each(loads, lambda load: f"{load.rate:.1f}"),
                _each(loads, lambda load: f"{100 * load.ratio:.0f} %"),
                _each(loads, lambda load: f"{load.cpu_ms:.1f}"),
                _each(loads, lambda load: f"{load.cpu_ratio:.2f}"),
                f"{row.spread:.0%}, {row.ratio_spread:.0%}",
            )
        )
    return table(head, lines)


def _rest(raw: Raw, rows: list[Row]) -> str:
    levels = " / ".join(map(str, raw.concurrency))
    head = (
        "contender",
        f"p50 ms at {levels}",
        f"p99 ms at {levels}",
        "images",
        "errors",
        "memory MiB",
        "cold start s",
        "generator's CPU ms",
    )
    lines = []
    for row in rows:
        loads = [row.loads.get(level) for level in raw.concurrency]
        lines.append(
            (
                _title(row),
                _each(loads, lambda load: f"{load.p50_ms:.0f}"),
                _each(loads, lambda load: f"{load.p99_ms:.0f}"),
                str(sum(load.images for load in loads if load)),
                str(sum(load.errors for load in loads if load)),
                _NONE if row.pss_mib is None else f"{row.pss_mib:.0f}",
                _NONE if row.cold_start is None else f"{row.cold_start:.1f}",
                _each(loads, lambda load: f"{load.generator_ms:.2f}"),
            )
        )
    return table(head, lines)


def _setups(raw: Raw) -> str:
    head = ("contender", "set up as", "versions")
    lines = [
        (
            f"{each.title} ({each.protocol})",
            each.tuning,
            ", ".join(f"{name} {version}" for name, version in each.versions.items()),
        )
        for each in raw.contenders
    ]
    return "### How each was set up\n\n" + table(head, lines)


def _failures(raw: Raw) -> str:
    failed = [session for session in raw.sessions if session.failed]
    if not failed:
        return ""
    lines = [
        f"- **{each.contender}** ({'/'.join(each.workloads)}): {_one_line(each.failed or '')}"
        for each in failed
    ]
    return "\n".join(["### What failed\n", *lines, ""])


def _title(row: Row) -> str:
    failed = f" (failed {len(row.failures)} times)" if row.failures else ""
    return f"{row.title}, {row.protocol}{failed}"


def _each(loads: Sequence[Load | None], text: Callable[[Load], str]) -> str:
    return " / ".join(_NONE if load is None else text(load) for load in loads)


def _one_line(text: str) -> str:
    return " ".join(text.split())
