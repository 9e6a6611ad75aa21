"""API keys as the database has them, and reading them."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, RowMapping, select

from database.engine import reading
from database.tables import api_key_changes, api_keys
from gateway.identity.principal import Principal, Role

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RATE = re.compile(r"[1-9][0-9]{0,8}/(s|min|h|day)")
_BUDGET = re.compile(r"(?=.*[1-9])[0-9]{1,12}(\.[0-9]{1,2})?[A-Z]{3}/month")


class ApiKeyError(ValueError):
    """A key that cannot be made, found or changed as asked; the text names the remedy."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key allows, and to whom."""

    name: str
    roles: frozenset[Role]
    pipelines: frozenset[str] | None = None
    """None is all, also those that come later."""
    rate: str | None = None
    budget: str | None = None

    def check(self) -> None:
        """Checks a grant that is to be stored; one that is stored is taken as it is.

        Raises:
            ApiKeyError: a part has a wrong form.
        """
        if not _NAME.fullmatch(self.name):
            raise ApiKeyError("name: it may have 1 to 64 characters out of A-Za-z0-9._-")
        if not self.roles:
            raise ApiKeyError(f"role: name one or more out of {', '.join(Role)}")
        if self.pipelines is not None and not all(map(_NAME.fullmatch, self.pipelines)):
            raise ApiKeyError("pipeline: it may have 1 to 64 characters out of A-Za-z0-9._-")
        if self.rate is not None and not _RATE.fullmatch(self.rate):
            raise ApiKeyError("rate: write a number of images and s, min, h or day, as in 60/min")
        if self.budget is not None and not _BUDGET.fullmatch(self.budget):
            raise ApiKeyError("budget: write an amount, a currency and month, as in 20EUR/month")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database has it: without its text. Times are UTC, in microseconds since 1970."""

    id: str
    line: str
    """The id of the first key of those that followed each other by rotation."""
    grant: Grant
    digest: str
    legacy: bool
    """Whether it came from the keys file of older versions: any text, found by its digest."""
    pepper: str
    """Id of the pepper under which the digest was made."""
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    certificate: str | None = None
    """Name of the client certificate that the row stands for; such a key has no text."""

    def state(self, now: int) -> str:
        """`active`, `expired` or `revoked` at a time."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= now
        return "expired" if expired else "active"

    def principal(self) -> Principal:
        """Who sends the key."""
        return Principal(
            id=f"key:{self.line}",
            kind="key" if self.certificate is None else "certificate",
            name=self.grant.name,
            roles=self.grant.roles,
            pipelines=self.grant.pipelines,
            credential=self.id,
            rate=self.grant.rate,
            budget=self.grant.budget,
        )


class KeyReader:
    """Reads the table of keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def changes(self) -> int:
        """How many changes there were: as long as it is the same, so are the keys."""
        with reading(self._engine).connect() as connection:
            return _changes(connection)

    def all(self) -> tuple[int, list[StoredKey]]:
        """The count of changes, and all keys as they were then; the first made is the first."""
        with reading(self._engine).connect() as connection:
            # The count first: a change that comes between is seen the next time.
            changes = _changes(connection)
            query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
            return changes, [stored(row) for row in connection.execute(query).mappings()]


def stored(row: RowMapping) -> StoredKey:
    """A row of the table."""
    pipelines = row["pipelines"]
    return StoredKey(
        id=row["id"],
        line=row["line"],
        grant=Grant(
            name=row["name"],
            # A role of a newer release gives nothing here.
            roles=frozenset(role for role in Role if role in row["roles"].split()),
            pipelines=None if pipelines is None else frozenset(pipelines.split()),
            rate=row["rate"],
            budget=row["budget"],
        ),
        digest=row["digest"],
        legacy=row["legacy"],
        pepper=row["pepper"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        certificate=row["certificate"],
    )


def _changes(connection: Connection) -> int:
    found: int = connection.execute(select(api_key_changes.c.count)).scalar_one()
    return found
