"""The commands that read: `list`, `show` and `history`."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.profile import DEFAULT_PROFILE
from releases.life.console import (
    REFUSED,
    REPOSITORY,
    Json,
    Pipeline,
    Profile,
    Repository,
    database,
    print_json,
    print_table,
    rfc3339,
    share,
    stops_on_errors,
)

if TYPE_CHECKING:
    from pipelines.release import Release


def list_releases(
    pipeline: Annotated[str | None, typer.Argument(metavar="PIPELINE")] = None,
    *,
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Lists the releases of the repository, and which of them are loaded as what."""
    from database import releases as history  # noqa: PLC0415
    from pipelines.release import NoReleaseError, ReleaseError  # noqa: PLC0415 - quick --help
    from pipelines.release_changes import role  # noqa: PLC0415
    from pipelines.release_mirror import first_state, found, pipelines_of  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        with engine.connect() as connection:
            known = {(each.pipeline, each.profile): each for each in history.states(connection)}
        rows = []
        for name in [pipeline] if pipeline else pipelines_of(repository):
            releases = found(name, repository)
            if not releases and pipeline:
                raise NoReleaseError(f"{name}: there is no release of it in {repository}")
            for each in releases:
                profile = each.release.spec.profile if each.release else None
                state = None
                if profile is not None and (state := known.get((name, profile))) is None:
                    try:
                        state = first_state(name, profile, repository)
                    except ReleaseError:
                        state = None
                rows.append(
                    {
                        "pipeline": name,
                        "release": each.identity,
                        "profile": profile,
                        "role": role(state, each.identity) if state else None,
                        "share": share(state, each.identity),
                        "made": rfc3339(each.made_at),
                        "readable": each.release is not None,
                    }
                )
    if as_json:
        print_json(rows)
    else:
        print_table(rows)


def show(
    pipeline: Pipeline,
    release: Annotated[
        str | None, typer.Argument(metavar="RELEASE", help="Left out: the current one.")
    ] = None,
    *,
    profile: Profile = DEFAULT_PROFILE,
    repository: Repository = REPOSITORY,
    as_json: Json = False,
) -> None:
    """Shows what a release serves; all its files are checked."""
    from database import releases as history  # noqa: PLC0415
    from database.shadow import comparisons  # noqa: PLC0415
    from pipelines.release import Release, ReleaseError  # noqa: PLC0415 - as above
    from pipelines.release_changes import role  # noqa: PLC0415
    from pipelines.release_files import ReleaseFiles, kept_configs  # noqa: PLC0415
    from pipelines.release_mirror import first_state  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        shown = None if release is None else Release.read(pipeline, release, repository)
        with engine.connect() as connection:
            of = profile if shown is None else shown.spec.profile
            state = history.state_of(connection, pipeline, of)
        state = state or first_state(pipeline, of, repository)
        shown = shown or Release.read(pipeline, state.current, repository)
        with engine.connect() as connection:
            compared = comparisons(connection, pipeline, shown.identity)
        problem = None
        try:
            files = ReleaseFiles(repository)
            files.verify_members(shown)
            try:
                kept_configs(shown, repository)
            except ReleaseError:
                # One that was made before there were copies.
                files.verify(shown)
        except ReleaseError as error:
            problem = str(error)
    document = {
        "pipeline": pipeline,
        "release": shown.identity,
        "sha256": shown.sha256,
        "profile": shown.spec.profile,
        "role": role(state, shown.identity),
        "share": share(state, shown.identity),
        "problem": problem,
        "compared": compared,
        **_facts(shown),
    }
    if as_json:
        print_json(document)
    else:
        for key, value in document.items():
            typer.echo(f"{key}: {value if isinstance(value, str) else json.dumps(value)}")
    if problem is not None:
        raise typer.Exit(REFUSED)


def show_history(
    pipeline: Pipeline,
    *,
    profile: Profile = DEFAULT_PROFILE,
    at: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", help="What served then: UTC, as 2026-11-30T12:00:00."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Says what served when, who changed it and on what evidence; the newest change first."""
    from database import releases as history  # noqa: PLC0415 - as above
    from database.clock import microseconds  # noqa: PLC0415 - as above
    from pipelines.release_state import BUCKETS  # noqa: PLC0415

    until = None if at is None else microseconds(at)
    with stops_on_errors(), database() as engine, engine.connect() as connection:
        entries = history.entries(connection, pipeline, profile, until=until)
    if at is not None:
        del entries[1:]
    rows = [
        {
            "at": rfc3339(entry.at / 1e6),
            "revision": entry.state.revision,
            "action": entry.action,
            "release": entry.release,
            "current": entry.state.current,
            "candidate": entry.state.candidate,
            "share": share(entry.state, entry.state.candidate),
            "shadow": entry.state.shadow * 100 / BUCKETS,
            "former": entry.state.former,
            "by": entry.by,
            "evidence": entry.evidence,
        }
        for entry in entries
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows)
    else:
        typer.echo(f"{pipeline}: its releases were never changed by `python -m releases`")


def show_comparisons(
    pipeline: str, release: str | None, repository: Path, *, as_json: bool
) -> None:
    """Says how candidates' answers to copies of images differ from those that were given."""
    from database.shadow import comparisons  # noqa: PLC0415 - as above
    from pipelines.release import NoReleaseError  # noqa: PLC0415
    from pipelines.release_mirror import found as releases_of  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        with engine.connect() as connection:
            found = comparisons(connection, pipeline, release)
        if not found and not releases_of(pipeline, repository):
            raise NoReleaseError(f"{pipeline}: there is no release of it in {repository}")
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo(f"{pipeline}: nothing was compared")
    for each in found:
        differs = ", ".join(f"{what} {count}" for what, count in each["differs"].items())
        typer.echo(
            f"{each['candidate']} beside {each['given']}: compared {each['compared']}, failed "
            f"{each['failed']}, shed {each['shed']}; differs: {differs or 'nothing compared'}; "
            f"compute {each['compute_ms']['candidate']} ms beside {each['compute_ms']['given']} ms"
        )
        for name, shares in (("value", each["value"]), ("uncertainty", each["uncertainty"])):
            if shares:
                told = ", ".join(f"to {share['at_most']:+g}: {share['count']}" for share in shares)
                typer.echo(f"  {name}, candidate less given: {told}")


def _facts(release: "Release") -> dict[str, Any]:
    spec = release.spec
    return {
        "threshold": None if spec.threshold is None else spec.threshold.default,
        "classes": list(spec.classes),
        "preprocessing": str(spec.preprocessing.decoding),
        "members": {
            name: {
                "version": member.version,
                "weight": spec.members[name].weight,
                "weights": member.weights,
                "sha256": release.artefact_sha256(name),
            }
            for name, member in release.members.items()
        },
        "calibrated": release.calibration is not None,
        "reference": None if release.reference is None else release.reference.sha256,
    }
