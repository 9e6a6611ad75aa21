"""`python -m gateway keys`: makes, lists, revokes and rotates API keys, and takes old ones over."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands import durations
from gateway.identity.principal import Role

if TYPE_CHECKING:
    from gateway.identity.key_store import KeyStore
    from gateway.identity.stored_keys import StoredKey
    from gateway.secret_files import SecretFiles

app = typer.Typer(no_args_is_help=True, help="The API keys, which are in the database.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` has it.")]


@app.command()
def create(
    *,
    name: Annotated[
        str,
        typer.Option(
            metavar="OWNER",
            help="Whose key it is: keys of one owner see each other's predictions. Left out: the "
            "key's own id.",
        ),
    ] = "",
    role: Annotated[list[Role], typer.Option(help="What it may do; again for more.")],
    pipeline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A pipeline that it covers; again for more. Left out: all."
        ),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="The most images in a time, as in 60/min.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="MONEY", help="The most cost, as in 20EUR/month.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long it is valid, as in 90d. Left out: for ever."),
    ] = None,
    certificate: Annotated[
        str | None,
        typer.Option(
            metavar="PEM|NAME",
            help="A client certificate that is the key: its PEM file; or a name of it, as "
            "uri:spiffe://site/ward, dns:NAME, email:NAME, subject:CN=NAME or sha256:DIGEST, which "
            "a renewed one may have too.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Makes a key and prints it: this once, as only its digest is stored."""
    from gateway.identity.certificates import certificate_name  # noqa: PLC0415 - as below
    from gateway.identity.key_format import ApiKey  # noqa: PLC0415 - the database: quick --help
    from gateway.identity.stored_keys import Grant  # noqa: PLC0415

    seconds = _seconds(expires)
    with _opened(made=True) as (store, secrets):
        key = ApiKey.new()
        pipelines = frozenset(pipeline) if pipeline else None
        grant = Grant(name or key.id, frozenset(role), pipelines, rate, budget)
        if certificate is None:
            made = store.create(grant, secrets.pepper(), key=key, seconds=seconds)
        else:
            made = store.create_for_certificate(
                grant,
                secrets.pepper(),
                key_id=key.id,
                certificate=certificate_name(certificate),
                seconds=seconds,
            )
    _print_new(made, key.text if certificate is None else None, as_json=as_json)


@app.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """Lists all keys, without their text."""
    with _opened() as (store, secrets):
        _, keys = store.all()
        strange = _of_another_pepper(keys, secrets)
    if strange:
        typer.echo(
            f"{strange} of them are of another pepper than the one in {secrets.folder}: gateways "
            "with this one refuse them. Restore the file, or create new keys",
            err=True,
        )
    if as_json:
        _print_json([_document(key) for key in keys])
    else:
        _print_table(keys)


@app.command()
def revoke(key: KeyId, *, as_json: Json = False) -> None:
    """Ends a key for good: within 5 seconds every gateway refuses it."""
    with _opened() as (store, _):
        revoked = store.revoke(key)
    if as_json:
        _print_json(_document(revoked))
    else:
        typer.echo(f"{revoked.id} of {revoked.grant.name}: revoked")


@app.command()
def rotate(
    key: KeyId,
    *,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="How long the old one stays valid.")
    ] = "24h",
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long the new one is valid. Left out: as long as the old one was to be.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Makes a key with the owner, roles, pipelines and limits of another, which ends after a time.

    The new one is printed this once. Limits and budgets count both as one.
    """
    from gateway.identity.key_format import ApiKey  # noqa: PLC0415 - as above

    overlap_seconds, seconds = _seconds(overlap), _seconds(expires)
    assert overlap_seconds is not None  # noqa: S101 - it has a default
    with _opened() as (store, secrets):
        new_key = ApiKey.new()
        new, old = store.rotate(
            key, secrets.pepper(), key=new_key, overlap_seconds=overlap_seconds, seconds=seconds
        )
    _print_new(new, new_key.text, as_json=as_json, replaces=old)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A keys file of older versions: lines NAME:SHA256.")],
    *,
    operator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A key that may also read the metrics (role operate), as Prometheus does; again "
            "for more.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Takes the keys of a keys file over, with the role predict: they go on working."""
    from gateway.commands import setup  # noqa: PLC0415 - as above

    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        setup.stop(f"{file}: it cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        setup.stop(f"{file}: it is no text. Name the file that GATEWAY_API_KEYS_FILE named")
    roles = dict.fromkeys(operator or (), frozenset({Role.PREDICT, Role.OPERATE}))
    with _opened(made=True) as (store, secrets):
        made, there = store.import_lines(lines, secrets.pepper(), roles)
    if as_json:
        _print_json([_document(key) for key in made])
    else:
        _print_table(made)
        typer.echo(f"{len(made)} taken over, {there} were there already")


def _of_another_pepper(keys: "Iterable[StoredKey]", secrets: "SecretFiles") -> int:
    """How many keys no gateway with these secrets accepts; 0 where there is no pepper to tell."""
    from gateway.identity.key_format import pepper_id  # noqa: PLC0415 - as above
    from gateway.secret_files import SecretName  # noqa: PLC0415

    if not (secrets.folder / SecretName.PEPPER).exists():
        return 0
    own = pepper_id(secrets.pepper())
    return sum(key.pepper != own for key in keys)


@contextmanager
def _opened(*, made: bool = False) -> "Iterator[tuple[KeyStore, SecretFiles]]":
    """The keys, and the secrets; ends the process where they cannot be used as asked.

    Args:
        made: whether an embedded database is made where it is not there.
    """
    from gateway.commands import setup  # noqa: PLC0415 - as above
    from gateway.identity.certificates import CertificateError  # noqa: PLC0415
    from gateway.identity.key_store import KeyStore  # noqa: PLC0415
    from gateway.identity.stored_keys import ApiKeyError  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    with setup.stops_on_errors(ApiKeyError, CertificateError):
        settings = Settings()
        with setup.opened_database(settings, made=made) as engine:
            yield KeyStore(engine), setup.secret_files(settings)


def _seconds(text: str | None) -> int | None:
    return None if text is None else durations.seconds(text)


def _print_new(
    key: "StoredKey", text: str | None, *, as_json: bool, replaces: "StoredKey | None" = None
) -> None:
    """The key alone is on stdout, for a script."""
    if as_json:
        more = {} if replaces is None else {"replaces": _document(replaces)}
        own = {} if text is None else {"key": text}
        _print_json(_document(key) | own | more)
        return
    if text is not None:
        typer.echo(text)
    until = "for ever" if key.expires_at is None else f"until {_time(key.expires_at)}"
    what = "It is not shown again." if text is not None else f"It is {key.certificate}."
    typer.echo(f"{key.id} of {key.grant.name}, valid {until}. {what}", err=True)
    if replaces is not None:
        typer.echo(f"{replaces.id} is valid until {_time(replaces.expires_at)}.", err=True)


def _print_json(document: Any) -> None:  # noqa: ANN401 - any of JSON
    typer.echo(json.dumps(document, indent=2))


def _print_table(keys: "Iterable[StoredKey]") -> None:
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415

    titles = (
        "id",
        "owner",
        "roles",
        "pipelines",
        "rate",
        "budget",
        "state",
        "created",
        "expires",
        "certificate",
    )
    table = Table(*titles, box=None)
    for document in map(_document, keys):
        cells = (
            document["id"],
            document["name"],
            " ".join(document["roles"]),
            "all" if document["pipelines"] is None else " ".join(document["pipelines"]),
            document["rate"] or "-",
            document["budget"] or "-",
            document["state"],
            document["created"],
            document["expires"] or "never",
            document["certificate"] or "-",
        )
        table.add_row(*cells)
    Console(width=None if Console().is_terminal else 200).print(table)


def _document(key: "StoredKey") -> dict[str, Any]:
    from database.clock import now  # noqa: PLC0415 - quick --help

    pipelines = key.grant.pipelines
    return {
        "id": key.id,
        "name": key.grant.name,
        "roles": sorted(key.grant.roles),
        "pipelines": None if pipelines is None else sorted(pipelines),
        "rate": key.grant.rate,
        "budget": key.grant.budget,
        "state": key.state(now()),
        "legacy": key.legacy,
        "certificate": key.certificate,
        "created": _time(key.created_at),
        "expires": _time(key.expires_at),
        "revoked": _time(key.revoked_at),
    }


def _time(microseconds: int | None) -> str | None:
    """In UTC, as RFC 3339 has it, to the second."""
    from database.clock import moment  # noqa: PLC0415 - quick --help

    return None if microseconds is None else f"{moment(microseconds):%Y-%m-%dT%H:%M:%SZ}"
