"""`python -m gateway audit`: verifies the audit log, and removes old rows of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

app = typer.Typer(no_args_is_help=True, help="The audit log (docs/audit.md).")

_FOUND = 1
"""Exit status where the log is not as it was written."""


@app.command()
def verify(
    *,
    receipt: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Receipts to compare with: an answer, answers as JSON lines, or the gateway's "
            "logs with their checkpoints; again for more.",
        ),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The public key of signatures, in PEM (`audit public-key`). Left out: that of "
            "GATEWAY_SECRETS_DIR.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verifies all rows: ends with 1 and names the places where they are not as they were written.

    Gateways may go on writing meanwhile.
    """
    from database.verification import verify as verify_all  # noqa: PLC0415 - quick --help
    from gateway.commands import setup  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    statements = [stated for path in receipt or () for stated in _statements(path)]
    with setup.stops_on_errors():
        settings = Settings()
        if public_key is None:
            key = setup.secret_files(settings).audit_signing_key().public_key()
        else:
            key = _public_key(public_key)
        with setup.opened_database(settings) as engine:
            verified = verify_all(engine, key, statements)
    counts = {
        "chains": verified.chains,
        "rows": verified.rows,
        "receipts": len(statements),
        "findings": [
            {"chain": each.chain, "position": each.position, "text": each.text}
            for each in verified.findings
        ],
    }
    if as_json:
        typer.echo(json.dumps(counts, indent=2))
    else:
        for finding in verified.findings:
            typer.echo(f"{finding.chain} position {finding.position}: {finding.text}")
        typer.echo(
            f"{verified.rows} rows in {verified.chains} chains, {len(statements)} receipts: "
            + (f"{len(verified.findings)} findings" if verified.findings else "all as written")
        )
    if verified.findings:
        raise typer.Exit(_FOUND)


@app.command()
def retain(
    *,
    older_than: Annotated[
        str, typer.Option(metavar="TIME", help="The age of rows to remove, as in 2190d.")
    ],
) -> None:
    """Removes old rows, by whole segments that end in a signed checkpoint. The rest verifies."""
    from database.clock import now  # noqa: PLC0415
    from database.retention import retain as remove  # noqa: PLC0415 - as above
    from gateway.commands import durations, setup  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    before = now() - 1_000_000 * durations.seconds(older_than)
    with setup.stops_on_errors():
        settings = Settings()
        key = setup.secret_files(settings).audit_signing_key()
        with setup.opened_database(settings) as engine:
            typer.echo(f"{remove(engine, key, before=before)} rows removed")


@app.command("public-key")
def print_public_key() -> None:
    """Prints the public key of receipts and checkpoints, in PEM, for who verifies elsewhere."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    from gateway.commands import setup  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415

    with setup.stops_on_errors():
        key = setup.secret_files(Settings()).audit_signing_key().public_key()
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    typer.echo(pem.decode("ascii"), nl=False)


def _statements(path: Path) -> list[dict[str, Any]]:
    from database.verification import read_statements  # noqa: PLC0415 - as above
    from gateway.commands import setup  # noqa: PLC0415

    try:
        return read_statements(path.read_text("utf-8"))
    except OSError as error:
        setup.stop(f"{path}: it cannot be read ({error.strerror})")
    except ValueError:
        setup.stop(f"{path}: there is no receipt in it. Name a file with answers or logs, in JSON")


def _public_key(path: Path) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    from gateway.commands import setup  # noqa: PLC0415

    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        setup.stop(f"{path}: it cannot be read ({error.strerror})")
    except ValueError:
        key = None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        setup.stop(f"{path}: it is no public Ed25519 key in PEM")
    return key
