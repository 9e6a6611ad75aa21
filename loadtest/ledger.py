"""Counts started studies and their outcomes, so that a lost study is detected."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from loadtest.study import End, Outcome


@dataclass(slots=True)
class Account:
    """Counts of one kind of user."""

    begun: int = 0
    answered: int = 0
    wrong: int = 0
    reported: int = 0
    attempts: int = 0
    refused: int = 0
    """Attempts that the service shed."""

    @property
    def open(self) -> int:
        """Studies without an end; when all senders have stopped, those that are lost."""
        return self.begun - self.answered - self.wrong - self.reported

    def add(self, other: "Account") -> None:
        """Takes in another process's counts."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class Ledger:
    """The accounts of this process, and the last known ones of its workers."""

    def __init__(self) -> None:
        self._own: defaultdict[str, Account] = defaultdict(Account)
        self._workers: dict[str, dict[str, Account]] = {}

    def begin(self, kind: str) -> None:
        """Notes a study before it is sent."""
        self._own[kind].begun += 1

    def end(self, kind: str, outcome: Outcome) -> None:
        """Notes how a study ended."""
        account = self._own[kind]
        account.attempts += outcome.attempts
        account.refused += len(outcome.refusals)
        match outcome.end:
            case End.ANSWERED:
                account.answered += 1
            case End.WRONG:
                account.wrong += 1
            case End.REPORTED:
                account.reported += 1

    def snapshot(self) -> dict[str, dict[str, int]]:
        """This process's counts as plain numbers, for a message."""
        return {kind: asdict(account) for kind, account in self._own.items()}

    def update_worker(self, worker: str, snapshot: Mapping[str, Mapping[str, int]]) -> None:
        """Replaces what is known of a worker: its counts grow and are sent whole."""
        self._workers[worker] = {kind: Account(**counts) for kind, counts in snapshot.items()}

    def total(self) -> dict[str, Account]:
        """The accounts of all processes together, by kind."""
        sums: defaultdict[str, Account] = defaultdict(Account)
        for accounts in (self._own, *self._workers.values()):
            for kind, account in accounts.items():
                sums[kind].add(account)
        return dict(sums)
