"""The command `secondopinion predict`."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from secondopinion._calls import Choices
from secondopinion._connection import DEFAULT_URL
from secondopinion._errors import SecondOpinionError
from secondopinion._exit_codes import INTERRUPTED, OK, SOME_FAILED, stopped
from secondopinion._offline import Offline, journal_of, run_offline
from secondopinion._options import PipelineName, Url
from secondopinion._pictures import Pictures
from secondopinion._run import run
from secondopinion._run_settings import RunSettings
from secondopinion._table import printable
from secondopinion.photo_files import PhotoFiles, below, described

_PATIENCE_SECONDS = 60.0
"""As long as a service lets anybody wait."""
NOTICE = "No medical device: answers are for research and for learning, never for a diagnosis."


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO|DIR...",
            help="Directories are searched recursively for images, whatever their names.",
        ),
    ],
    *,
    url: Url = DEFAULT_URL,
    pipeline: PipelineName = None,
    advanced: Annotated[
        bool, typer.Option("--advanced", help="Adds uncertainty and each member's result.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON object per photo and line.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(help="Score from which the answer is positive, or a detection counts."),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, help="Number of classes to list (multi-class).")
    ] = None,
    member: Annotated[
        str | None, typer.Option(metavar="NAME", help="Uses this member alone.")
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons", help="Adds the outlines of masks to JSON and results.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Adds where each member of a classifier looked, to JSON and .jsonl results.",
        ),
    ] = False,
    keep_images: Annotated[
        bool,
        typer.Option(
            "--keep-images",
            help="Consents that the service keeps the photos, where the pipeline keeps any.",
        ),
    ] = False,
    signed_receipts: Annotated[
        bool,
        typer.Option(
            "--signed-receipts",
            help="Asks for receipts that whoever has the service's public key can check.",
        ),
    ] = False,
    visualization: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Writes each photo with its detections drawn there."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Writes a row for each photo of one DIR to FILE.csv, .jsonl or .parquet; the "
            "same command goes on where it was stopped.",
        ),
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable",
            help="Leaves out files of a directory that are no images, instead of failing for them.",
        ),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="With --out: predicts all photos again.")
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed/--keep-failed",
            help="With --out: retries the photos that failed the last time.",
        ),
    ] = True,
    respond_within: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Time within which each answer is wanted; who gives more lets others go first. "
            "Default: of one photo the pipeline's own, of several 60.",
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Number of photos in flight at the same time.")
    ] = 4,
) -> None:
    """Asks about photos, and prints a table or JSON lines, or writes a file of results.

    Ends with 0 if all were answered, 1 if some failed, 2 if the service cannot be reached or the
    question is wrong, 130 after Ctrl-C.
    """
    _check_out(paths, out, as_json=as_json, restart=restart, retry_failed=retry_failed)
    if explain and not as_json and (out is None or out.suffix.lower() != ".jsonl"):
        raise typer.BadParameter("goes with --json or --out FILE.jsonl", param_hint="--explain")
    try:
        found = _find(paths, [out, journal_of(out)] if out else [])
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="PHOTO|DIR") from error
    choices: Choices = {
        "pipeline": pipeline,
        "threshold": threshold,
        "top_k": top_k,
        "member": member,
        # Only where they are wanted: a pipeline without them refuses their names.
        "visualization": True if visualization else None,
        "polygons": True if polygons else None,
        "explain": True if explain else None,
        "keep_image": True if keep_images else None,
        "signed_receipt": True if signed_receipts else None,
    }
    if respond_within is not None:
        choices["respond_within"] = respond_within
    settings = RunSettings(url=url, advanced=advanced, choices=choices, concurrency=concurrency)
    notes = Console(stderr=True, highlight=False)
    if skip_unreadable and found.left_out:
        notes.print(printable(described(found.left_out), notes), markup=False, soft_wrap=True)
        found.left_out = {}
    photos = found.all() if found.left_out else found.photos
    if len(photos) > 1:
        choices.setdefault("respond_within", _PATIENCE_SECONDS)
    try:
        pictures = None
        if visualization:
            searched = [path for path in paths if path.is_dir()]
            pictures = Pictures(visualization, photos, searched)
        if out is None:
            failed = run(
                settings, photos, found.left_out, as_json=as_json, pictures=pictures, notes=notes
            )
        else:
            offline = Offline(
                settings=settings,
                folder=paths[0],
                photos=photos,
                left_out=found.left_out,
                pictures=pictures,
                out=out,
                restart=restart,
                retry_failed=retry_failed,
            )
            failed = run_offline(offline, notes)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise  # nobody reads on; typer ends quietly
    except (SecondOpinionError, ValueError, OSError) as error:
        raise stopped(error) from error
    raise typer.Exit(SOME_FAILED if failed else OK)


def _check_out(
    paths: list[Path], out: Path | None, *, as_json: bool, restart: bool, retry_failed: bool
) -> None:
    if out is None:
        if restart or not retry_failed:
            raise typer.BadParameter("goes with --out", param_hint="--restart, --keep-failed")
    elif as_json:
        raise typer.BadParameter("goes to a file; leave out --json", param_hint="--out")
    elif len(paths) != 1 or paths[0].is_file():
        raise typer.BadParameter("takes the photos of one directory", param_hint="--out")


def _find(paths: Iterable[Path], results: Collection[Path]) -> PhotoFiles:
    """Files as they are named, directories as the files below them, sorted.

    A file that is named is taken whatever it holds: the service judges what it is.

    Raises:
        FileNotFoundError: A path does not exist, or a directory holds no image.
        OSError: A directory cannot be listed; leaving its photos out silently would be worse.
    """
    found = PhotoFiles()
    for path in paths:
        if path.is_dir():
            try:
                here = below(path, passing_over=results)
            except OSError as error:
                raise OSError(f"{error.filename}: {error.strerror}") from error
            if not here.photos:
                others = f"; {described(here.left_out)}" if here.left_out else ""
                raise FileNotFoundError(f"{path}: no photos in this directory{others}")
            found.photos += here.photos
            found.left_out |= here.left_out
        elif path.exists():
            found.photos.append(path)
        else:
            raise FileNotFoundError(f"{path}: no such file or directory")
    return found
