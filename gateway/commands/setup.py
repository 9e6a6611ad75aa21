"""What commands need before they begin: settings, database, secrets; or a message and an end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from database.engine import (
    DatabaseError,
    open_engine,
    require_schema,
    require_there,
    unusable,
)
from gateway.identity.token_settings import TokenSettings
from gateway.secret_files import SecretError, SecretFiles
from gateway.settings import Settings
from pipelines.tls import GatewayTls

WRONG = 2
"""Exit status of a command that cannot do what it was asked, as it was asked or is set up."""
_PREFIXES = {
    kind.__name__: kind.model_config["env_prefix"] for kind in (Settings, TokenSettings, GatewayTls)
}


@contextmanager
def stops_on_errors(*more: type[Exception]) -> Iterator[None]:
    """Ends the process with a message where settings, secrets or the database cannot be used.

    Args:
        more: errors whose text is such a message, too.
    """
    try:
        yield
    except ValidationError as error:
        for item in error.errors():
            sys.stderr.write(f"gateway: {_message(error.title, item['loc'], item['msg'])}\n")
        raise typer.Exit(WRONG) from None
    except (SecretError, DatabaseError) as error:
        stop(str(error))
    except more as error:
        stop(str(error))


def stop(message: str) -> NoReturn:
    """Ends the process with a message."""
    sys.stderr.write(f"gateway: {message}\n")
    raise typer.Exit(WRONG)


@contextmanager
def opened_database(settings: Settings, *, made: bool = False) -> Iterator[Engine]:
    """An engine of the database, whose schema is this release's.

    Args:
        settings: name the database.
        made: whether an embedded one is made where it is not there.

    Raises:
        DatabaseError: it is not there, its schema is another one, or it cannot be used.
    """
    engine = open_engine(settings.database_url)
    try:
        if not made:
            require_there(engine)
        require_schema(engine)
        yield engine
    except SQLAlchemyError as error:
        raise unusable(engine, error) from None
    finally:
        engine.dispose()


def secret_files(settings: Settings) -> SecretFiles:
    """The secrets that the settings name."""
    return SecretFiles(settings.secrets_dir, made=settings.embedded_database)


def _message(model: str, location: tuple[int | str, ...], message: str) -> str:
    """The error of a setting, by the name of its environment variable."""
    text = message.removeprefix("Value error, ")
    return f"{_PREFIXES.get(model, '')}{str(location[0]).upper()}: {text}" if location else text
