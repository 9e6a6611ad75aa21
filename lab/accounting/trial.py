"""A service whose processes and database are broken while callers of both doors ask it."""

import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx

from database.engine import open_engine, upgrade
from database.verification import Verified, verify
from gateway.secret_files import SecretFiles
from lab.accounting.accounts import Account, account
from lab.accounting.callers import GRPC, HTTP, RAW, Callers, Door, Grpc, Http, Ledger
from lab.accounting.databases import Database, database
from lab.attack import faults
from lab.errors import LabError
from lab.service.service import DECISION, DECODE, GATEWAY, TRITON, Service
from loadtest.photos import SAMPLES
from pipelines.load import load_spec
from pipelines.protocol import DEFAULT_PIPELINE

PROCESSES = (GATEWAY, TRITON, DECODE, DECISION, *load_spec(DEFAULT_PIPELINE).members)
_OUTAGE_SECONDS = 30.0
_FULL_SECONDS = 15.0
_REST_SECONDS = 3.0
_POISON = (
    {"threshold": "\x00"},
    {"threshold": "\ud83d"},
    {"threshold": "9" * 20_000},
    {"member": "\x00'; DROP TABLE predictions; --"},
)
"""Parameters that a database may refuse: a NUL byte, half of a character, a long text."""


@dataclass(frozen=True)
class Fault:
    """What one fault did."""

    name: str
    again: Mapping[str, float]
    """Seconds from the end of the fault until answers came again, by door."""
    instead: Counter[str]
    """What came instead of answers."""


@dataclass(frozen=True)
class Figures:
    """What one run found."""

    database: str
    seconds: float
    faults: Sequence[Fault]
    account: Account
    wrong: int
    """Answers that were not as the reference."""
    given_up: int
    verified: Verified
    """What verification found of all chains."""

    @property
    def passed(self) -> bool:
        """Whether everything was accounted for."""
        return self.account.balances and not (self.wrong or self.verified.findings)


class Trial(faults.Trial):
    """A service, its database, and what is done to both."""

    def __init__(self, service: Service, base: Database, ledger: Ledger, scale: float) -> None:
        super().__init__(service)
        self._base, self._ledger, self._scale = base, ledger, scale

    def plan(self, killed: Sequence[str]) -> dict[str, Callable[[], None]]:
        """What is done, by its name: what lasts ends before it returns."""
        plan: dict[str, Callable[[], None]] = {}
        for name in killed:
            plan[f"SIGKILL of {name}"] = lambda n=name: self.signal(n, signal.SIGKILL)  # type: ignore[misc]
        full, out = self._scale * _FULL_SECONDS, self._scale * _OUTAGE_SECONDS
        if self._base.fillable:
            plan[f"disk full, {full:.0f} s"] = lambda: self.full(full)
        plan[f"database {self._base.outage}, {out:.0f} s"] = lambda: self.outage(out)
        plan["poison rows"] = self.poison
        return plan

    def run(self, name: str, fault: Callable[[], None]) -> Fault:
        """Breaks something, and waits until both doors answer again.

        Raises:
            LabError: they do not.
        """
        began = time.monotonic()
        fault()
        # A process that was killed is gone since it was; what lasts is over now.
        since = began if name.startswith("SIG") else time.monotonic()
        again = {door: self._ledger.recovered(door, since) for door in (HTTP, GRPC)}
        return Fault(name, again, self._ledger.failed(began))

    def full(self, seconds: float) -> None:
        """Fills the database's file system for a while."""
        self._base.fill()
        time.sleep(seconds)
        self._base.free()
        self._base.revive()

    def outage(self, seconds: float) -> None:
        """Takes the database away for a while."""
        self._base.outage_begins()
        time.sleep(seconds)
        self._base.outage_ends()

    def poison(self) -> None:
        """Sends requests whose rows a database may refuse.

        Raises:
            LabError: one was answered otherwise than a wrong parameter is.
        """
        sample = next(iter(_photos()))
        for parameters in _POISON:
            query = urlencode(parameters, errors="surrogatepass")
            url = f"{self.service.url}/api/v1/predict?{query}"
            said = httpx.post(url, content=sample, headers=RAW, timeout=60, trust_env=False)
            if not httpx.codes.is_client_error(said.status_code):
                raise LabError(f"a poison row was answered with {said.status_code}")


def run(
    kind: str,
    repository: Path,
    specs: Path,
    seconds: float,
    log: Path,
    *,
    killed: Sequence[str] = PROCESSES,
) -> Figures:
    """Breaks a service for so many seconds, and accounts for all of its answers.

    Args:
        kind: of the database, of `KINDS`.
        repository: Triton's model repository.
        specs: folder of the pipelines' YAML.
        seconds: each fault comes once at least, however long that takes.
        log: takes what the service prints.
        killed: the processes that are killed, by their roles.

    Raises:
        LabError: it does not recover, or cannot be started.
    """
    scale = min(1.0, seconds / 300)
    with database(kind) as base:
        secret_files, environment = _prepared(base)
        service = Service(
            [DEFAULT_PIPELINE], repository, specs=specs, log=log, environment=environment
        )
        photos = _photos()

        def doors() -> list[Door]:
            ports = service.ports
            return [
                Http(service.url, photos),
                Grpc(ports.gateway_grpc_port, DEFAULT_PIPELINE, photos),
            ]

        with service:
            made = _references(service, photos)
            callers = Callers(doors, {photo: values for photo, (_, values) in made.items()})
            found: list[Fault] = []
            end = time.monotonic() + seconds
            with callers as ledger:
                trial = Trial(service, base, ledger, scale)
                while True:
                    for name, fault in trial.plan(killed).items():
                        time.sleep(scale * _REST_SECONDS)
                        found.append(trial.run(name, fault))
                    if time.monotonic() > end:
                        break
        references = dict(made.values())
        return Figures(
            database=base.name,
            seconds=seconds,
            faults=found,
            account=account(base.url, ledger.answers, references, ledger.given_up),
            wrong=ledger.wrong,
            given_up=ledger.given_up,
            verified=_verified(base, secret_files),
        )


def _prepared(base: Database) -> tuple[SecretFiles, dict[str, str]]:
    """Makes schema and secrets; returns the secrets, and the gateway's settings."""
    engine = open_engine(base.url)
    upgrade(engine)
    engine.dispose()
    secret_files = SecretFiles(base.folder / "secrets", made=True)
    secret_files.make()
    return secret_files, {
        "GATEWAY_DATABASE_URL": base.url,
        "GATEWAY_SECRETS_DIR": str(secret_files.folder),
    }


def _verified(base: Database, secret_files: SecretFiles) -> Verified:
    """What verification finds of all chains, with the signatures of their checkpoints."""
    engine = open_engine(base.url)
    try:
        return verify(engine, secret_files.audit_signing_key().public_key())
    finally:
        engine.dispose()


def _photos() -> list[bytes]:
    return [path.read_bytes() for path in sorted(SAMPLES.glob("*.jpg"))[:6]]


def _references(
    service: Service, photos: Sequence[bytes]
) -> dict[int, tuple[str, Sequence[float]]]:
    """Of each photo the reference answer: the prediction's id, and its probabilities."""
    door = Http(service.url, photos)
    try:
        answers = [
            door.ask(photo, f"reference-{secrets.token_hex(4)}", None)
            for photo in range(len(photos))
        ]
    finally:
        door.close()
    return {answer.photo: (answer.id, answer.probabilities) for answer in answers}
