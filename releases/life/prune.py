"""`python -m releases prune`: removes releases that nothing needs any more."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from releases.life.console import (
    REPOSITORY,
    DryRun,
    Json,
    Repository,
    database,
    print_json,
    stops_on_errors,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

_ROW = "a row of the audit log names it"
_LOADED = "the server here has it loaded"
_MIB = 1024**2


def prune(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="Left out: all of the repository.")
    ] = None,
    *,
    keep: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="How many of the newest of each profile stay."),
    ],
    repository: Repository = REPOSITORY,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Removes old releases, with the artefacts that no other release needs.

    Those stay that are loaded or serve, the newest N of each profile, and whatever a row of the
    audit log names. Needs the service's database.
    """
    from pipelines.release import NoReleaseError  # noqa: PLC0415 - quick --help
    from pipelines.release_mirror import pipelines_of  # noqa: PLC0415

    with stops_on_errors(), database(there=True) as engine:
        there = pipelines_of(repository)
        if pipeline is not None and pipeline not in there:
            raise NoReleaseError(f"{pipeline}: there is no release of it in {repository}")
        documents = []
        for name in there if pipeline is None else [pipeline]:
            document = _prune(engine, name, repository, keep, dry_run=dry_run)
            documents.append(document)
            if not as_json:
                _say(document)
    if as_json:
        print_json(documents)


def _prune(
    engine: "Engine", pipeline: str, repository: "Path", keep: int, *, dry_run: bool
) -> dict[str, Any]:
    from database import releases as history  # noqa: PLC0415 - as above
    from database.engine import reading  # noqa: PLC0415
    from releases.life import retention  # noqa: PLC0415
    from releases.life.loading import loaded_here  # noqa: PLC0415

    def still_needed(release: str) -> str | None:
        with reading(engine).connect() as connection:
            states = history.states(connection)
            if any(release in each.loaded for each in states if each.pipeline == pipeline):
                return "it was staged meanwhile"
            return _ROW if history.is_named(connection, pipeline, release) else None

    with reading(engine).connect() as connection:
        states = [each for each in history.states(connection) if each.pipeline == pipeline]
        named = dict.fromkeys(history.named_by_rows(connection, pipeline), _ROW)
    # Where no release was ever staged, the one that serves may be older than the current one: it
    # serves until the next start.
    named |= dict.fromkeys(loaded_here(pipeline), _LOADED)
    finished = (
        retention.interrupted(pipeline, repository)
        if dry_run
        else retention.finish_interrupted(pipeline, repository)
    )
    chosen = retention.plan(pipeline, repository, named, states, keep)
    gone, back = list(chosen.removals), dict[str, str]()
    if not dry_run:
        gone, back = retention.remove(chosen, repository, still_needed)
    return {
        "pipeline": pipeline,
        "dry_run": dry_run,
        "finished": finished,
        "removed": [
            {
                "release": each.identity,
                "profile": each.profile,
                "bytes": each.size,
                "paths": [path.as_posix() for path in each.paths],
            }
            for each in gone
        ],
        "kept": [
            {"release": release, "because": list(reasons)}
            for release, reasons in (*chosen.kept.items(), *((r, (w,)) for r, w in back.items()))
        ],
        "bytes": sum(each.size for each in gone),
    }


def _say(document: dict[str, Any]) -> None:
    would = "would be " if document["dry_run"] else ""
    name = document["pipeline"]
    for release in document["finished"]:
        typer.echo(
            f"{name}: {would}removed to the end: {release}, as an earlier run was interrupted"
        )
    for each in document["kept"]:
        typer.echo(f"{name}: stays: {each['release']}: {', '.join(each['because'])}")
    for each in document["removed"]:
        typer.echo(
            f"{name}: {would}removed: {each['release']} of profile {each['profile']}, "
            f"{each['bytes'] / _MIB:.1f} MiB: {', '.join(each['paths'])}"
        )
    typer.echo(f"{name}: {would}freed: {document['bytes'] / _MIB:.1f} MiB")
