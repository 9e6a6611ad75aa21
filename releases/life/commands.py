"""The commands that change which release serves whom.

Each imports what it needs when it runs, for quick help.
"""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.profile import DEFAULT_PROFILE
from releases.life.console import (
    REFUSED,
    REPOSITORY,
    WRONG,
    By,
    DryRun,
    Evidence,
    IfCandidate,
    Json,
    Pipeline,
    Profile,
    ReleaseArgument,
    Repository,
    database,
    print_json,
    sentence,
    stop,
    stops_on_errors,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pipelines.release_changes import Action, Change
    from pipelines.release_state import ReleaseState


def stage(
    pipeline: Pipeline,
    release: ReleaseArgument,
    *,
    repository: Repository = REPOSITORY,
    wait: Annotated[
        bool, typer.Option(help="Wait until the server has loaded it, or says why it does not.")
    ] = True,
    by: By = "",
    evidence: Evidence = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Loads a release as the candidate beside the current one; it answers nobody yet.

    All its files are checked first, and the server checks its memory before it loads it.
    """
    from pipelines import release_changes as changes  # noqa: PLC0415
    from pipelines.release import Release  # noqa: PLC0415 - as above
    from pipelines.release_mirror import check, first_state  # noqa: PLC0415
    from releases.life.loading import NotLoadedError, wait_until_loaded  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        candidate = Release.read(pipeline, release, repository)
        profile = candidate.spec.profile
        current = first_state(pipeline, profile, repository).current
        check(candidate, current, repository)
        _change(
            engine,
            (changes.Action.STAGE, changes.stage(release)),
            (pipeline, profile, repository),
            said=(by, evidence),
            dry_run=dry_run,
            as_json=as_json,
        )
        if not wait or dry_run:
            return
        try:
            found = wait_until_loaded(pipeline, release)
        except NotLoadedError as error:
            reason = str(error)
        else:
            if not found:
                typer.echo("no server answers here: one loads it when it starts", err=True)
            return
        _change(
            engine,
            (changes.Action.RETIRE, changes.retire(release)),
            (pipeline, profile, repository),
            said=(by, f"the server does not load it: {reason}"[:500]),
            dry_run=False,
            as_json=as_json,
        )
        stop(f"{pipeline}: the server does not load {release}: {reason}", REFUSED)


def shadow(
    pipeline: Pipeline,
    percent: Annotated[
        float | None,
        typer.Argument(min=0, max=100, help="Of answered images, to two decimals; 0 ends it."),
    ] = None,
    *,
    report: Annotated[
        bool, typer.Option("--report", help="Say what was compared, and change nothing.")
    ] = False,
    profile: Profile = DEFAULT_PROFILE,
    repository: Repository = REPOSITORY,
    release: Annotated[
        str | None,
        typer.Option(metavar="RELEASE", help="Only where it is the candidate; of a report: whose."),
    ] = None,
    by: By = "",
    evidence: Evidence = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Gives the candidate copies of a share of the images, and counts how its answers differ.

    Nobody is answered by it. Copies are sent only while the service has time for them.
    """
    from pipelines import release_changes as changes  # noqa: PLC0415 - as above
    from releases.life.loading import require_loaded  # noqa: PLC0415
    from releases.life.reports import show_comparisons  # noqa: PLC0415

    if report == (percent is not None):
        stop("name a PERCENT, or ask for --report", WRONG)
    if percent is None:
        show_comparisons(pipeline, release, repository, as_json=as_json)
        return
    with stops_on_errors(), database() as engine:
        share = changes.share_of(percent)
        state = _state(engine, pipeline, profile)
        if state is not None and share:
            require_loaded(pipeline, state.candidate)
        _change(
            engine,
            (changes.Action.SHADOW, changes.shadow(share, release)),
            (pipeline, profile, repository),
            said=(by, evidence),
            dry_run=dry_run,
            as_json=as_json,
        )


def split(
    pipeline: Pipeline,
    percent: Annotated[float, typer.Argument(min=0, max=100, help="Of callers, to two decimals.")],
    *,
    profile: Profile = DEFAULT_PROFILE,
    repository: Repository = REPOSITORY,
    release: IfCandidate = None,
    by: By = "",
    evidence: Evidence = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lets the candidate answer a share of the callers, always the same ones.

    Of a larger share, those of a smaller one are part.
    """
    from pipelines import release_changes as changes  # noqa: PLC0415
    from releases.life.loading import require_loaded  # noqa: PLC0415 - as above

    with stops_on_errors(), database() as engine:
        share = changes.share_of(percent)
        state = _state(engine, pipeline, profile)
        if state is not None and share:
            require_loaded(pipeline, state.candidate)
        _change(
            engine,
            (changes.Action.SPLIT, changes.split(share, release)),
            (pipeline, profile, repository),
            said=(by, evidence),
            dry_run=dry_run,
            as_json=as_json,
        )


def promote(
    pipeline: Pipeline,
    *,
    profile: Profile = DEFAULT_PROFILE,
    repository: Repository = REPOSITORY,
    release: IfCandidate = None,
    without_gate: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Asks for no gate report; the history says why. No patient's data.",
        ),
    ] = None,
    by: By = "",
    evidence: Evidence = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lets the candidate answer everybody. The former release stays loaded, for a rollback.

    The newest gate report that is kept with it must have passed beside the current release.
    """
    from pipelines import release_changes as changes  # noqa: PLC0415 - as above
    from pipelines.gate_verdict import grounds  # noqa: PLC0415
    from releases.life.loading import require_loaded  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        state = _state(engine, pipeline, profile)
        candidate, current = changes.candidate_and_current(state, release)
        require_loaded(pipeline, candidate)
        rests_on = grounds(pipeline, candidate, current, repository, without_gate=without_gate)
        _change(
            engine,
            (changes.Action.PROMOTE, changes.promote(candidate, current)),
            (pipeline, profile, repository),
            said=(by, "; ".join(filter(None, (rests_on, evidence)))),
            dry_run=dry_run,
            as_json=as_json,
        )


def rollback(
    pipeline: Pipeline,
    *,
    profile: Profile = DEFAULT_PROFILE,
    repository: Repository = REPOSITORY,
    release: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="Only where it answers callers.")
    ] = None,
    by: By = "",
    evidence: Evidence = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Undoes the last step: a candidate's share ends; else the former release answers again."""
    from pipelines import release_changes as changes  # noqa: PLC0415 - as above
    from releases.life.loading import require_loaded  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        state = _state(engine, pipeline, profile)
        if state is not None and (not state.share or release == state.current):
            require_loaded(pipeline, state.former)
        _change(
            engine,
            (changes.Action.ROLLBACK, changes.rollback(release)),
            (pipeline, profile, repository),
            said=(by, evidence),
            dry_run=dry_run,
            as_json=as_json,
        )


def retire(
    pipeline: Pipeline,
    release: ReleaseArgument,
    *,
    profile: Profile = DEFAULT_PROFILE,
    repository: Repository = REPOSITORY,
    by: By = "",
    evidence: Evidence = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Unloads the candidate or the former release, once nobody waits for its answers."""
    from pipelines import release_changes as changes  # noqa: PLC0415 - as above

    with stops_on_errors(), database() as engine:
        _change(
            engine,
            (changes.Action.RETIRE, changes.retire(release)),
            (pipeline, profile, repository),
            said=(by, evidence),
            dry_run=dry_run,
            as_json=as_json,
        )


def mirror(*, repository: Repository = REPOSITORY, as_json: Json = False) -> None:
    """Writes the state in the database into the model repository, by which the server loads.

    Every change does so by itself. It is needed after one that was interrupted, and where the
    gateway that made it does not reach the repository.
    """
    from database import releases as history  # noqa: PLC0415 - as above
    from pipelines.release_mirror import mirror as write  # noqa: PLC0415

    with stops_on_errors(), database() as engine:
        with engine.connect() as connection:
            states = history.states(connection)
        written = write(states, repository)
    if as_json:
        print_json([state.model_dump() for state in written])
    else:
        for state in written:
            typer.echo(sentence(state))
        if not written:
            typer.echo("all is as the database has it")


def _state(engine: "Engine", pipeline: str, profile: str) -> "ReleaseState | None":
    from database import releases as history  # noqa: PLC0415 - as above

    with engine.connect() as connection:
        return history.state_of(connection, pipeline, profile)


def _change(
    engine: "Engine",
    what: "tuple[Action, Change]",
    where: tuple[str, str, Path],
    *,
    said: tuple[str, str | None],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Makes a change in one transaction, then has the repository follow it."""
    from database import releases as history  # noqa: PLC0415 - as above
    from pipelines.release_mirror import first_state  # noqa: PLC0415
    from pipelines.release_mirror import mirror as write  # noqa: PLC0415

    pipeline, profile, repository = where
    by, evidence = said
    with engine.connect() as connection:
        transaction = connection.begin()
        state = history.apply(
            connection,
            *what,
            first=lambda: first_state(pipeline, profile, repository),
            pipeline=pipeline,
            profile=profile,
            author=history.Author(by or getpass.getuser(), evidence),
        )
        if dry_run:
            transaction.rollback()
        else:
            transaction.commit()
    if not dry_run:
        write([state], repository)
    if as_json:
        print_json({**state.model_dump(), "dry_run": dry_run})
    else:
        typer.echo(("would be: " if dry_run else "") + sentence(state))
