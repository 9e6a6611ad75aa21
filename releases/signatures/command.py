"""`python -m releases sign` and `verify`: signatures of releases."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from pipelines.release import Release

ROOT = Path(__file__).parents[2]
_REFUSED, _CANNOT = 1, 2
_KEPT = 2
Repository = Annotated[
    Path, typer.Option(help="Triton's model repository.", exists=True, file_okay=False)
]
_REPOSITORY = ROOT / "model_repository"


def sign(
    pipeline: Annotated[str | None, typer.Argument(metavar="PIPELINE")] = None,
    release: Annotated[
        str | None,
        typer.Argument(metavar="RELEASE", help="Left out: the one that serves the profile."),
    ] = None,
    *,
    keys: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The private keys, best on a disk that is taken out."),
    ],
    profile: Annotated[str, typer.Option(metavar="NAME", help="Of the YAML.")] = "default",
    repository: Repository = _REPOSITORY,
    keep: Annotated[
        int,
        typer.Option(min=1, help="Releases of the pipeline and profile that stay signed."),
    ] = _KEPT,
    init: Annotated[
        bool, typer.Option("--init", help="Makes keys and the first metadata, once.")
    ] = False,
    root_keys: Annotated[int, typer.Option(min=1, help="With --init: keys of the root.")] = 3,
    threshold: Annotated[
        int, typer.Option(min=1, help="With --init: how many of them must sign a change of keys.")
    ] = 2,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Ends the signature of RELEASE.")
    ] = False,
    rotate: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="Gives root, targets, snapshot or timestamp a new key; the former is revoked.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --rotate root: root-1, for example.")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Signs what is signed anew, before it expires.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Checks, and writes nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Prints what is signed as JSON.")] = False,
) -> None:
    """Signs a release, so that servers which ask for signatures serve it (docs/signatures.md)."""
    from releases.signatures.signing import ROLES, KeyFolder, SignedRepository  # noqa: PLC0415 - quick --help

    asked = [init, withdraw, renew, rotate is not None]
    if sum(asked) > 1 or (pipeline is None and not (init or renew or rotate)):
        _stop("name a PIPELINE to sign, or one of --init, --renew, --rotate", _CANNOT)
    if withdraw and release is None:
        _stop("--withdraw: name PIPELINE and RELEASE", _CANNOT)
    if rotate is not None and rotate not in ROLES:
        _stop(f"--rotate: there are {', '.join(ROLES)}", _CANNOT)
    said = "dry run: nothing was written" if dry_run else ""
    with _stops_on_errors():
        signed = SignedRepository(repository, KeyFolder(keys))
        found = None
        if pipeline is not None and not any(asked):
            found = _checked(pipeline, release, profile, repository)
        if not dry_run:
            if init:
                path = signed.initialise(root_keys, threshold)
                said = f"sites trust {path}; keys: {keys}: keep those of the root apart"
            elif renew:
                signed.renew()
            elif rotate is not None:
                signed.rotate(rotate, key)
            elif found is not None:
                gone = signed.sign(found, keep, _in_use(found, repository))
                said = "; ".join(f"{each.pipeline} {each.identity} is withdrawn" for each in gone)
            else:
                signed.withdraw(str(pipeline), str(release))
        known = [] if dry_run and init else signed.releases()
    if as_json:
        rows = [
            {"pipeline": each.pipeline, "release": each.identity, "profile": each.profile}
            for each in known
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    lines = [f"signed: {each.pipeline} {each.identity} ({each.profile})" for each in known]
    typer.echo("\n".join([said, *lines] if said else lines))


def _checked(pipeline: str, release: str | None, profile: str, repository: Path) -> "Release":
    """The release to sign, whose files are those that it names."""
    from pipelines.release import Release  # noqa: PLC0415 - as above
    from pipelines.release_files import ReleaseFiles  # noqa: PLC0415

    if release is None:
        found = Release.current(pipeline, profile, repository)
    else:
        found = Release.read(pipeline, release, repository)
    ReleaseFiles(repository).verify_members(found)
    return found


def _in_use(release: "Release", repository: Path) -> list[str]:
    """The releases that are loaded: a signature is not taken from them in passing."""
    return _loaded(release.spec.name, release.spec.profile, repository)


def _loaded(pipeline: str, profile: str, repository: Path) -> list[str]:
    """The current release, the candidate and the former one; those that there are."""
    from pipelines.release import ReleaseError  # noqa: PLC0415 - as above
    from pipelines.release_mirror import first_state  # noqa: PLC0415

    try:
        return list(first_state(pipeline, profile, repository).loaded)
    except ReleaseError:
        return []


def verify(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="Left out: all with a release.")
    ] = None,
    *,
    root: Annotated[
        Path,
        typer.Option(
            envvar="SERVER_SIGNATURES_ROOT", metavar="FILE", help="The root that is trusted."
        ),
    ],
    repository: Repository = _REPOSITORY,
    profile: Annotated[str, typer.Option(metavar="NAME", help="Of the YAML.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Prints JSON.")] = False,
) -> None:
    """Checks the releases that are loaded as a server does that asks for signatures.

    Ends with 1 where one is refused. What this server has seen is not looked at.
    """
    from pipelines.release import Release, ReleaseError  # noqa: PLC0415 - quick --help
    from pipelines.release_files import ReleaseFiles  # noqa: PLC0415
    from pipelines.signatures import Signatures  # noqa: PLC0415

    known = sorted(
        path.parents[1].name for path in repository.glob(f"*/releases/{profile}.current")
    )
    rows = []
    with _stops_on_errors(), tempfile.TemporaryDirectory() as state:
        files = ReleaseFiles(repository, Signatures(root, Path(state), repository))
        for name in [pipeline] if pipeline else known:
            # Where nothing can be read of what is loaded, the current one says why.
            loaded: list[str | None] = [*_loaded(name, profile, repository)]
            for each in loaded or [None]:
                problem, identity = None, each
                try:
                    if each is None:
                        release = Release.current(name, profile, repository)
                    else:
                        release = Release.read(name, each, repository)
                    identity = release.identity
                    files.verify_members(release)
                except ReleaseError as error:
                    problem = str(error)
                rows.append({"pipeline": name, "release": identity, "problem": problem})
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    for row in rows if not as_json else []:
        typer.echo(f"{row['pipeline']} {row['release'] or ''}: {row['problem'] or 'signed'}")
    if not rows:
        _stop(f"{repository}: no pipeline has a release under profile {profile}", _CANNOT)
    if any(row["problem"] for row in rows):
        raise typer.Exit(_REFUSED)


@contextmanager
def _stops_on_errors() -> Iterator[None]:
    from pipelines.release import ReleaseError  # noqa: PLC0415 - as above
    from releases.signatures.signing import SigningError  # noqa: PLC0415

    try:
        yield
    except (ReleaseError, SigningError) as error:
        _stop(str(error), _CANNOT)


def _stop(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"releases: {message}\n")
    raise typer.Exit(status)
