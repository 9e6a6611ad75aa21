"""`python -m lab.attack.faults`: breaks a service of its own; a table of how it recovers."""

import os
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated

import httpx
import psutil
import typer

from lab.errors import LabError
from lab.markdown import replace_section, table
from lab.options import MODEL_REPOSITORY, Docs, Repository, Specs
from lab.paths import CACHE
from lab.service.service import GATEWAY, STEPS, TRITON, Service, role
from loadtest.photos import SAMPLES
from pipelines.load import FOLDER, load_spec
from pipelines.protocol import DEFAULT_PIPELINE
from server.triton import backend_processes

SECTION = "faults"
_CALLERS = 3
_PATIENCE = 120.0
_QUIET = 4.0
"""Seconds without a failure after which the service counts as recovered."""
_DEADLINE = 60.0
_BUSY = 0.2
_MIB = 2**20
_PRIVATE = {"/dev/shm": "160m", "/run/faults": "160m"}  # noqa: S108 - mounts of the trial's own
_MOUNTS = " && ".join(
    f"mkdir -p {folder} && mount -t tmpfs -o size={size} tmpfs {folder}"
    for folder, size in _PRIVATE.items()
)
_HEAD = ("fault", "answers again after", "failed meanwhile", "wrong answers", "restarts")


@dataclass
class Callers:
    """Ask without pause, and compare each answer with the one to the same photo before."""

    url: str
    photos: list[bytes]
    expected: list[dict[str, dict[str, float]]] = field(default_factory=list)
    good: list[tuple[float, float]] = field(default_factory=list)
    """When each good answer was asked for, and came."""
    failed: list[tuple[float, str]] = field(default_factory=list)
    wrong: int = 0

    def __enter__(self) -> "Callers":
        with httpx.Client(base_url=self.url, timeout=_DEADLINE, trust_env=False) as client:
            for photo in self.photos:
                self.expected.append(self._ask(client, photo).raise_for_status().json())
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(_CALLERS)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @staticmethod
    def _ask(client: httpx.Client, photo: bytes) -> httpx.Response:
        return client.post("/api/v1/predict", files={"file": photo})

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=_DEADLINE, trust_env=False) as client:
            while not self._stop.is_set():
                number = (number + _CALLERS) % len(self.photos)
                began = time.monotonic()
                try:
                    answer = self._ask(client, self.photos[number])
                except httpx.HTTPError as error:
                    outcome = type(error).__name__
                else:
                    outcome = str(answer.status_code)
                    if answer.is_success:
                        self.good.append((began, time.monotonic()))
                        self.wrong += not _same(answer.json(), self.expected[number])
                        continue
                self.failed.append((time.monotonic(), outcome))
                self._stop.wait(_BUSY)

    def recovered(self, since: float) -> float:
        """Seconds until answers came again, and failed no more for a while.

        Raises:
            LabError: they did not within two minutes.
        """
        while time.monotonic() - since < _PATIENCE:
            last = max((at for at, _ in self.failed if at >= since), default=since)
            # The answer to what was sent after the fault.
            again = [came for began, came in self.good if began >= last]
            if again and time.monotonic() - max(again[0], last) > _QUIET:
                return again[0] - since
            time.sleep(0.1)
        raise LabError(f"no recovery within {_PATIENCE:.0f} s")


def _same(answer: dict[str, dict[str, float]], expected: dict[str, dict[str, float]]) -> bool:
    one, other = answer["probabilities"], expected["probabilities"]
    return one.keys() == other.keys() and all(abs(one[k] - other[k]) < 1e-4 for k in one)  # noqa: PLR2004


class Trial:
    """A service, and what is done to it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def roles(self) -> dict[str, psutil.Process]:
        """One process of each role."""
        found = {}
        for process in self.service.tree.processes():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if words and process.status() != psutil.STATUS_ZOMBIE:
                found[role(words, self.service.pipelines)] = process
        return found

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a process, and waits until that has ended.

        Raises:
            LabError: nobody ends it.
        """
        process = self.roles()[name]
        process.send_signal(number)
        until = time.monotonic() + _PATIENCE
        # tritonserver leaves the entries of its processes.
        while not backend_processes.has_ended(process.pid):
            if time.monotonic() > until:
                raise LabError(f"{name} was not replaced within {_PATIENCE:.0f} s")
            time.sleep(0.05)

    def pause(self, seconds: float) -> None:
        """Stops all processes for a while, the ones that wait for others first."""
        processes = self.service.tree.processes()[::-1]
        for process in processes:
            process.suspend()
        time.sleep(seconds)
        for process in processes:
            process.resume()

    def fill(self, folder: str, work: Callable[[], None]) -> None:
        """Fills a file system of the service's own, does something, and frees it again."""
        inside = Path(f"/proc/{self.service.tree.process.pid}/root{folder}/filler")
        free = os.statvfs(inside.parent)
        with inside.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
        try:
            work()
        finally:
            inside.unlink()

    def batch(self) -> None:
        """Sends images that need more shared memory than the regions have."""
        sample = next(Path(SAMPLES).glob("*.jpg")).read_bytes()
        files = [("files", (f"{number}.jpg", sample + bytes(4 * _MIB))) for number in range(32)]
        httpx.post(
            f"{self.service.url}/api/v1/predict/batch", files=files, timeout=120, trust_env=False
        )

    def kill_triton(self) -> None:
        """Kills it, and gives the launcher time to try what it can."""
        self.signal(TRITON, signal.SIGKILL)
        time.sleep(8)

    def limit(self, name: str, what: int, value: int, seconds: float = 10.0) -> None:
        """Gives a running process a low limit for a while."""
        process = self.roles()[name]
        before = process.rlimit(what)
        process.rlimit(what, (value, before[1]))
        try:
            time.sleep(seconds)
        finally:
            if process.is_running():
                process.rlimit(what, before)

    def restarts(self) -> float:
        """Of tritonserver and backend processes, as the launcher counts them."""
        url = f"http://127.0.0.1:{self.service.ports.server_metrics_port}/metrics"
        lines = httpx.get(url, timeout=10, trust_env=False).text.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.startswith(("server_restarts_total", "server_stub_restarts_total"))
        )

    def faults(self) -> dict[str, Callable[[], None]]:
        """What is done, by its name."""
        done: dict[str, Callable[[], None]] = {}
        members = load_spec(DEFAULT_PIPELINE).members
        for name in (*STEPS, *members):
            for number in (signal.SIGKILL, signal.SIGSTOP):
                done[f"{number.name} of {name}"] = lambda n=name, s=number: self.signal(n, s)  # type: ignore[misc]
        for seconds in (5, 12, 20):
            done[f"pause of all processes, {seconds} s"] = lambda s=seconds: self.pause(s)  # type: ignore[misc]
        shm, run = _PRIVATE
        done[f"{shm} full, a batch of large files"] = lambda: self.fill(shm, self.batch)
        for folder in (shm, run):
            done[f"{folder} full for 8 s, SIGKILL of {TRITON}"] = lambda f=folder: self.fill(  # type: ignore[misc]
                f, self.kill_triton
            )
        done["24 descriptors for the gateway, 10 s"] = lambda: self.limit(
            GATEWAY, resource.RLIMIT_NOFILE, 24
        )
        for name in members:
            done[f"no more memory for {name}, 10 s"] = lambda n=name: self.limit(  # type: ignore[misc]
                n, resource.RLIMIT_AS, self.roles()[n].memory_info().vms
            )
        return done


def main(
    only: Annotated[str, typer.Option(help="Only faults whose name has these words.")] = "",
    repository: Repository = MODEL_REPOSITORY,
    specs: Specs = FOLDER,
    docs: Docs = None,
) -> None:
    """Breaks the processes of a service one after another while three callers ask it.

    Needs root, for small /dev/shm and run folders of the service's own. Fails (1) where an answer
    is wrong, the service does not recover, or something is left behind.
    """
    signal.signal(signal.SIGTERM, _terminated)
    try:
        raise typer.Exit(_run(only, repository.absolute(), specs.absolute(), docs))
    except (LabError, PermissionError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


def _terminated(number: int, _frame: FrameType | None) -> None:
    """Leaves by an exception, so that the service is stopped."""
    raise SystemExit(128 + number)


def _run(only: str, repository: Path, specs: Path, docs: Path | None) -> int:
    log = CACHE / "logs" / "faults.log"
    run = Path("/run/faults/run")
    service = Service([DEFAULT_PIPELINE], repository, specs=specs, log=log, run=run)
    # A mount namespace of its own: what is filled is the service's alone.
    service.argv = ("unshare", "-m", "sh", "-c", f'{_MOUNTS} && exec "$@"', "sh", *service.argv)
    photos = [path.read_bytes() for path in sorted(Path(SAMPLES).glob("*.jpg"))[:6]]
    rows, failed = [], False
    with service:
        trial = Trial(service)
        faults = {name: fault for name, fault in trial.faults().items() if only in name}
        for name, fault in faults.items():
            with Callers(service.url, photos) as callers:
                time.sleep(2)
                before, began = trial.restarts(), time.monotonic()
                try:
                    fault()
                    # A fault that lasts is over now; one that struck began before.
                    since = began if name.startswith("SIG") else time.monotonic()
                    seconds = f"{callers.recovered(since):.1f} s"
                except LabError as error:
                    seconds, failed = str(error), True
                restarts = trial.restarts() - before
            outcomes = Counter(outcome for at, outcome in callers.failed if at >= began)
            told = ", ".join(f"{count} x {what}" for what, count in outcomes.items()) or "none"
            failed = failed or bool(callers.wrong)
            rows.append((name, seconds, told, str(callers.wrong), f"{restarts:.0f}"))
            typer.echo(" | ".join(rows[-1]), err=True)
        processes = trial.service.tree.processes()
    left = [process for process in processes if process.is_running()]
    text = f"{table(_HEAD, rows)}\nLeft behind after the stop: {len(left)} processes."
    typer.echo(text)
    if docs:
        replace_section(docs, SECTION, text)
    return int(failed or bool(left))


if __name__ == "__main__":
    typer.run(main)
