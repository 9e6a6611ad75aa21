"""What a failed write means: the database is away, or what was to be written is refused."""

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)


class DatabaseUnavailableError(Exception):
    """Nothing can be written now; later it may be."""


class RowRefusedError(Exception):
    """The database refuses this row, whatever else it can write."""


def is_outage(error: Exception, dialect: str) -> bool:
    """Whether it is the database that fails, and not what was to be written.

    Args:
        error: what a write raised.
        dialect: `sqlite` or `postgresql`.
    """
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    refused = DataError | IntegrityError | InterfaceError
    if dialect == "sqlite":
        refused |= ProgrammingError
    if isinstance(error, refused):
        return False
    # Of the driver alone: what SQLAlchemy itself cannot bind is the row's fault.
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return False
    return isinstance(error, SQLAlchemyError | OSError)
