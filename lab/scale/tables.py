"""Formats the measured curves as Markdown tables."""

from collections.abc import Sequence

from lab.markdown import table
from lab.scale.raw import Curve, Point, Scale
from lab.scale.trial import MANY
from lab.service.service import DECISION, DECODE, GATEWAY, LAUNCHER, TRITON

_NONE = "-"
_HEAD = (
    "images/s",
    "p50 ms",
    "p99 ms",
    "refused (429)",
    "CPU ms an image",
    "gateway",
    "tritonserver",
    "decode",
    "decision",
    "members",
    "memory MiB",
)


def curves(scale: Scale, picture: str) -> str:
    """Every curve as a table, and the plot of all."""
    first = scale.served[0].name
    parts = [
        _measured(scale),
        f"![the curves]({picture})\n",
        "### More callers\n",
        _table("callers", scale.of(Curve.CONCURRENCY), _settings(scale, Curve.CONCURRENCY)),
        f"With `?member={scale.lightest}`, the lighter model alone:\n",
        _table("callers", scale.of(Curve.LIGHT)),
        "### Larger batches\n\nOne caller, `POST .../predict/batch`; ms are those of a request.\n",
        _table("photos", scale.of(Curve.BATCH), _settings(scale, Curve.BATCH)),
        "### Larger photos\n\nOne caller, then " + str(MANY) + ".\n",
        _table("megapixels", scale.of(Curve.SIZE, callers=1), size=True),
        _table(
            "megapixels",
            scale.of(Curve.SIZE, callers=MANY),
            _settings(scale, Curve.SIZE),
            size=True,
        ),
        "### More pipelines\n",
        f"{_weights(scale)} First {MANY} callers ask `{first}` alone, then as many all in turn.\n",
        _starts(scale),
        _table("pipelines", scale.of(Curve.PIPELINES)),
        _table("pipelines, all asked", scale.of(Curve.TOGETHER)),
    ]
    return "\n".join(part for part in parts if part)


def _measured(scale: Scale) -> str:
    machine = scale.machine
    return (
        f"`{scale.command}` on {scale.started[:10]}, {scale.minutes:.0f} minutes: {machine.cores} "
        f"cores of {machine.cpu}, shared with other work (load average {machine.load_average:.1f} "
        f"before and {scale.load_average_after:.1f} after), {machine.memory_gib:.0f} GiB, "
        f"{machine.system}, Python {machine.python}. The load comes from the same machine. Photos "
        f"are JPEGs of 640 x 480, {scale.photo_bytes / 1024:.0f} KiB, unless it says otherwise; "
        f"each point takes {scale.seconds:g} s, and as long as what is under way then takes. "
        "*members* is the sum of both models.\n"
    )


def _table(
    name: str, points: Sequence[Point], others: Sequence[Point] = (), *, size: bool = False
) -> str:
    head = [name, *(["file"] if size else []), *_HEAD]
    lines = []
    for point in [*points, *others]:
        setting = f" with `{point.setting}`" if point.setting else ""
        file = [f"{point.bytes_each / 2**20:.1f} MiB"] if size else []
        lines.append([f"{point.x:g}{setting}", *file, *_figures(point)])
    return table(head, lines) if lines else ""


def _figures(point: Point) -> list[str]:
    known = {GATEWAY, TRITON, DECODE, DECISION, LAUNCHER}
    members = [role for role in point.cpu_seconds if role not in known]
    cpu = [(), (GATEWAY,), (TRITON,), (DECODE,), (DECISION,), members]
    return [
        f"{point.rate:.1f}",
        _ms(point.p50_ms),
        _ms(point.p99_ms),
        _refused(point),
        *(f"{point.cpu_ms(*roles):.1f}" if point.images else _NONE for roles in cpu),
        f"{point.memory:.0f}",
    ]


def _refused(point: Point) -> str:
    others = "".join(f", {count} x {text}" for text, count in point.errors.items())
    return f"{point.refused}{others}"


def _ms(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0f}"


def _settings(scale: Scale, curve: Curve) -> list[Point]:
    return [point for point in scale.points if point.curve is curve and point.setting]


def _weights(scale: Scale) -> str:
    told = [f"{each.name} ({each.weights} weights)" for each in scale.served]
    random = any(each.weights == "random" for each in scale.served)
    why = (
        " Random weights cost what trained ones do in the network itself; members in INT8 are "
        "left out of these pipelines, and a detector finds less, so that what comes after its "
        "network costs less."
    )
    return f"Loaded in this order: {', '.join(told)}.{why if random else ''}"


def _starts(scale: Scale) -> str:
    lines = []
    for start in scale.starts:
        served = scale.served[start.pipelines - 1]
        lines.append(
            [
                f"{start.pipelines}, with {served.name}",
                f"{start.seconds:.1f}",
                f"{sum(start.pss_mib.values()):.0f}",
                f"{served.artefact_bytes / 2**20:.0f}",
            ]
        )
    head = ["pipelines", "ready after s", "memory MiB before the load", "the last one's files MiB"]
    return table(head, lines)
