"""`python -m export.quality`: proposes bounds of photo quality from a folder of good photos."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from export import photos
from export.console import say, screen
from export.errors import ExportError
from export.progress import Steps, shown_on
from inference.decode import decode
from inference.errors import RefusedError
from inference.quality import judge
from inference.rules import DecodeRules, QualityRules
from pipelines.enums import Measure, QualityWarning
from pipelines.load import FOLDER, SpecError, load_spec
from pipelines.profile import DEFAULT_PROFILE
from pipelines.quality import Quality
from pipelines.spec import PipelineSpec

PHOTOS_AT_LEAST = 100
UNREADABLE_AT_MOST = 0.01
WARNED_AT_MOST = 0.02
"""Share of good photos that the proposed bounds warn of, all together."""
_QUANTILES = (0, 0.005, 0.05, 0.5, 0.95, 0.995, 1)
_BELOW = {QualityWarning.BLURRED, QualityWarning.SMALL}
_MARGIN = 1.1
"""How far beyond the photos' own values a bound lies, as a factor."""
_SHARE_MARGIN = 0.01
"""Added at least where a share of the pixels is bounded, which may be 0 in all photos."""
_KNOWN = {QualityWarning.SMALL: 1.0, QualityWarning.COLOUR_PROFILE: 8.0}
"""Bounds that follow from what they mean; photos only move them further out."""


class QualityError(ExportError):
    """A folder from which no bounds can be proposed."""


@dataclass(frozen=True)
class Distribution:
    """The measures of a folder's photos, and the bounds that they propose."""

    measures: NDArray[np.float32]
    """[photos, 7], in the order of `enums.Measure`; NaN where one does not apply."""
    proposed: dict[QualityWarning, float]
    """By warning; none where no photo has the measure."""
    unreadable: int

    def warned(self, bounds: QualityRules) -> float:
        """Share of the photos with any warning."""
        return float((judge(self.measures, bounds) == 1).any(axis=1).mean())

    def with_proposed(self) -> QualityRules:
        """The rules with the proposed bounds."""
        facts: dict[str, Any] = {
            name: {_side(name): limit} for name, limit in self.proposed.items()
        }
        return QualityRules.from_spec({"quality": Quality(**facts).model_dump(mode="json")})


def main(
    pipeline: Annotated[str, typer.Argument(help="E.g. oral_cancer.")],
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            metavar="DIR",
            help=f"Good photos as they will be sent, {PHOTOS_AT_LEAST} or more, without labels.",
        ),
    ],
    *,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="A profile of the YAML.")
    ] = DEFAULT_PROFILE,
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
    warned: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of these photos that may be warned of."),
    ] = WARNED_AT_MOST,
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Prints how the measures of photo quality are distributed, and bounds for the YAML.

    Nothing is changed: copy what you want into `quality` of the pipeline's YAML.
    """
    try:
        spec = load_spec(pipeline, specs, profile)
        with shown_on(screen) as on_progress:
            files = photos.files_below(folder)
            steps = Steps(max(len(files), 1), on_progress)
            steps.begin(f"{spec.name}: measuring {len(files)} files")
            found = measure(spec, files, warned, steps.advance)
    except QualityError as error:
        say(f"{folder}: {error}")
        raise typer.Exit(1) from None
    except SpecError as error:
        say(error)
        raise typer.Exit(1) from None
    current = photos.decode_rules(spec).quality
    if as_json:
        typer.echo(json.dumps(_as_json(found, spec, current), indent=2))
        return
    _print(found, spec, current)


def measure(
    spec: PipelineSpec,
    files: list[Path],
    warned: float = WARNED_AT_MOST,
    on_photo: Callable[[], None] = lambda: None,
) -> Distribution:
    """Measures photos as the service does, and proposes bounds.

    Args:
        spec: as a profile serves it.
        files: good photos.
        warned: share of them that all bounds together may warn of.
        on_photo: told of each one.

    Raises:
        QualityError: too few of them, or too many that cannot be read.
    """
    rules = photos.decode_rules(spec)
    # Else photos that the pipeline refuses would be missing among those that set its bounds.
    rules = replace(rules, quality=replace(rules.quality, bounds=QualityRules().bounds))
    rows, left_out = [], {}
    for path in files:
        try:
            rows.append(decode(path.read_bytes(), rules).measures)
        except (OSError, RefusedError) as error:
            left_out[path] = str(error)
        on_photo()
    _check(files, len(rows), left_out, rules)
    measures = np.stack(rows)
    columns = dict(zip(QualityWarning, measures.T, strict=False))
    known = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    bounds = {name: _bound(name, column, warned / len(known)) for name, column in known.items()}
    # Below 0 lies nothing: such photos are of one colour.
    proposed = {name: limit for name, limit in bounds.items() if limit > 0 or name not in _BELOW}
    return Distribution(measures, proposed, len(left_out))


def _check(files: list[Path], readable: int, left_out: dict[Path, str], rules: DecodeRules) -> None:
    if left_out:
        say(photos.described(left_out))
    if len(left_out) > UNREADABLE_AT_MOST * len(files):
        raise QualityError(
            f"{len(left_out)} of {len(files)} files cannot be read, {UNREADABLE_AT_MOST:.0%} at "
            "most may be: remove them from the folder"
        )
    if readable < PHOTOS_AT_LEAST:
        raise QualityError(
            f"{readable} photos are too few to propose bounds: give {PHOTOS_AT_LEAST} or more good "
            f"ones of at most {rules.max_bytes} bytes"
        )


def _bound(warning: QualityWarning, values: NDArray[np.float32], share: float) -> float:
    """Just beyond the value that at most this share of the photos exceeds, in two digits."""
    known = values[~np.isnan(values)].astype(np.float64)
    if warning in _BELOW:
        limit = float(np.quantile(known, share, method="lower"))
        if limit >= (fixed := _KNOWN.get(warning, math.inf)):
            return fixed
        return _rounded(limit / _MARGIN, math.floor)
    limit = float(np.quantile(known, 1 - share, method="higher"))
    if warning in {QualityWarning.DARK, QualityWarning.OVEREXPOSED}:
        margin = max((_MARGIN - 1) * min(limit, 1 - limit), _SHARE_MARGIN)
        return min(_rounded(limit + margin, math.ceil), 0.99)
    if limit <= (fixed := _KNOWN.get(warning, -math.inf)):
        return fixed
    return _rounded(limit * _MARGIN, math.ceil)


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    if value <= 0:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    scale = 10.0**digits
    return round(towards(round(value * scale, 6)) / scale, digits)


def _side(warning: QualityWarning) -> str:
    return "below" if warning in _BELOW else "above"


def _as_json(found: Distribution, spec: PipelineSpec, current: QualityRules) -> dict[str, Any]:
    rows = {}
    warned: list[QualityWarning | None] = [*QualityWarning, None]  # none of brightness
    for index, (name, warning) in enumerate(zip(Measure, warned, strict=True)):
        values = found.measures[:, index]
        bound = None if warning is None else current.bounds[index]
        known = values[~np.isnan(values)].astype(float)
        rows[str(name)] = {
            "warning": None if warning is None else str(warning),
            "not_applicable": int(len(values) - len(known)),
            "quantiles": {
                f"{q:g}": round(float(np.quantile(known, q)), 6) if len(known) else None
                for q in _QUANTILES
            },
            "current": None if bound is None else bound.limit,
            "proposed": None if warning is None else found.proposed.get(warning),
        }
    return {
        "pipeline": spec.name,
        "profile": spec.profile,
        "photos": len(found.measures),
        "unreadable": found.unreadable,
        "measures": rows,
        "warned": {
            "current": round(found.warned(current), 6),
            "proposed": round(found.warned(found.with_proposed()), 6),
        },
    }


def _print(found: Distribution, spec: PipelineSpec, current: QualityRules) -> None:
    document = _as_json(found, spec, current)
    table = Table("measure", *(f"{q:.1%}" for q in _QUANTILES), "none", "current", "proposed")
    for name, row in document["measures"].items():
        numbers = [*row["quantiles"].values(), row["not_applicable"], row["current"]]
        cells = ["" if number is None else f"{number:.4g}" for number in numbers]
        warning, limit = row["warning"], row["proposed"]
        proposed = "" if limit is None else f"{_side(warning)} {limit:g}"
        table.add_row(name, *cells, "" if warning is None else f"{warning}: {proposed}")
    # In a pipe no line is cut.
    console = Console(width=None if screen.is_terminal else 200)
    console.print(table)
    shares = document["warned"]
    console.print(
        f"{document['photos']} photos of {spec.name}: {shares['current']:.1%} warned of by the "
        f"YAML's bounds, {shares['proposed']:.1%} by these:",
        highlight=False,
    )
    typer.echo("quality:")
    for warning, limit in found.proposed.items():
        typer.echo(f"  {warning}: {{{_side(warning)}: {limit:g}}}")


if __name__ == "__main__":
    typer.run(main)
