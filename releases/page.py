"""Parts of self-contained HTML pages: the frame, tables, and plots as SVG. All text is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.4; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .5rem; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.banner { border: 2px solid #b00020; padding: .5rem 1rem; font-weight: 600; }
svg { max-width: 100%; height: auto; }
svg text { fill: currentColor; font-size: 12px; }
"""
FIRST, SECOND = "#0072b2", "#d55e00"
"""Colours of the two releases, which colour-blind readers can tell apart (Okabe and Ito, 2008)."""
_LEFT, _ROW, _SIDE = 300, 24, 300


@dataclass(frozen=True)
class Span:
    """One row of a plot of intervals: a value, its interval, and how far it may go."""

    label: str
    value: float
    low: float
    high: float
    limit: float | None
    colour: str = FIRST


def document(title: str, *parts: str) -> str:
    """A whole page that needs no other file and runs no script."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    """Of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, banner: bool = False) -> str:
    """A paragraph; a `banner` has a border."""
    kind = ' class="banner"' if banner else ""
    return f"<p{kind}>{escape(text)}</p>"


def items(texts: Iterable[str]) -> str:
    """A list; nothing where there are no texts."""
    rows = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{rows}</ul>" if rows else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """A table; numbers have three digits after the point."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def intervals(title: str, spans: Sequence[Span], unit: str) -> str:
    """A plot with a row for each interval; nothing where there is none."""
    if not spans:
        return ""
    ends = [end for each in spans for end in (each.low, each.high, each.limit or 0.0)]
    least, most = min([0.0, *ends]), max([0.0, *ends])
    room = (most - least) * 0.05 or 1.0
    scale = (700 - _LEFT - 20) / (most - least + 2 * room)

    def across(value: float) -> float:
        return _LEFT + (value - least + room) * scale

    height = _ROW * len(spans) + 40
    zero = f'<line x1="{across(0):.1f}" x2="{across(0):.1f}" y1="0" y2="{height - 30}" '
    drawn = [f'{zero}stroke="currentColor" stroke-opacity=".4"/>']
    for place, each in enumerate(spans):
        y = _ROW * place + 14
        drawn.append(f'<text x="0" y="{y + 4}">{escape(each.label)}</text>')
        drawn.append(
            f'<line x1="{across(each.low):.1f}" x2="{across(each.high):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{each.colour}" stroke-width="2"/>'
            f'<circle cx="{across(each.value):.1f}" cy="{y}" r="4" fill="{each.colour}"/>'
        )
        if each.limit is not None:
            drawn.append(
                f'<line x1="{across(each.limit):.1f}" x2="{across(each.limit):.1f}" y1="{y - 9}" '
                f'y2="{y + 9}" stroke="#b00020" stroke-width="2" stroke-dasharray="3 2"/>'
            )
    for value in (least, 0.0, most):
        drawn.append(
            f'<text x="{across(value):.1f}" y="{height - 12}" text-anchor="middle">{value:+.3f}'
            "</text>"
        )
    drawn.append(f'<text x="0" y="{height - 12}">{escape(unit)}</text>')
    return _svg(title, 700, height, drawn)


def curves(
    title: str, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], x: str, y: str
) -> str:
    """A square plot, both axes from 0 to 1, of up to two lines; the diagonal is dotted."""
    at = 40
    drawn = [
        (
            f'<rect x="{at}" y="10" width="{_SIDE}" height="{_SIDE}" fill="none" '
            'stroke="currentColor" stroke-opacity=".4"/>'
        ),
        (
            f'<line x1="{at}" y1="{_SIDE + 10}" x2="{at + _SIDE}" y2="10" stroke="currentColor" '
            'stroke-opacity=".4" stroke-dasharray="2 4"/>'
        ),
        f'<text x="{at}" y="{_SIDE + 28}">0</text>',
        f'<text x="{at + _SIDE}" y="{_SIDE + 28}" text-anchor="end">1</text>',
        f'<text x="{at + _SIDE / 2}" y="{_SIDE + 28}" text-anchor="middle">{escape(x)}</text>',
        (
            f'<text x="14" y="{_SIDE / 2 + 10}" text-anchor="middle" '
            f'transform="rotate(-90 14 {_SIDE / 2 + 10})">{escape(y)}</text>'
        ),
    ]
    for place, ((name, points), colour) in enumerate(zip(lines, (FIRST, SECOND), strict=False)):
        path = " ".join(f"{at + a * _SIDE:.1f},{10 + (1 - b) * _SIDE:.1f}" for a, b in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        row = 30 + 20 * place
        drawn.append(
            f'<rect x="{at + _SIDE + 16}" y="{row - 10}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{at + _SIDE + 32}" y="{row}">{escape(name)}</text>'
        )
    return _svg(title, at + _SIDE + 260, _SIDE + 40, drawn)


def _svg(title: str, width: float, height: float, drawn: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>{''.join(drawn)}</svg>"
    )


def _cell(value: str | float | None) -> str:
    if value is None:
        return '<td class="number">-</td>'
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    shown = f"{value:d}" if isinstance(value, int) else f"{value:.3f}"
    return f'<td class="number">{shown}</td>'
