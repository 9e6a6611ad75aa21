"""`python -m lab.bench.loadgen`: checks the bench's load generator against MLPerf's LoadGen."""

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from lab.bench import environment
from lab.bench.loadgen import comparison
from lab.bench.loadgen.comparison import PERCENTILES
from lab.bench.loadgen.queue_server import ANSWER
from lab.bench.scenarios.schedule import gaps
from lab.errors import ContenderError
from lab.load.__main__ import Target
from lab.load.generator import Generator
from lab.load.scheduled import Limits
from lab.markdown import table
from lab.paths import CACHE, ROOT
from lab.service.ports import free_ports
from lab.service.process_tree import ProcessTree

screen = Console(stderr=True, highlight=False, soft_wrap=True)
_ANSWER_WITHIN = 20.0
_PACKAGES = Path(__file__).parent / "requirements.txt"


def main(
    rate: Annotated[float, typer.Option(min=1, help="Arrivals a second.")] = 120.0,
    milliseconds: Annotated[float, typer.Option(min=0.1, help="That a request takes.")] = 5.0,
    requests: Annotated[int, typer.Option(min=100, help="How many.")] = 3000,
) -> None:
    """Sends LoadGen's arrivals to a server of known behaviour, once by LoadGen and once by ours.

    Ends with 1 where schedules or percentiles differ by more than is stated. Wants the machine for
    itself, for a minute; LoadGen has an environment of its own in .cache/bench/.
    """
    # So that what it starts ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        environment.ensure("loadgen", _PACKAGES)
        (port,) = free_ports(1)
        server = ProcessTree(
            [sys.executable, "-m", "lab.bench.loadgen.queue_server", str(port), str(milliseconds)],
            environment={},
            folder=ROOT,
            log=CACHE / "logs" / "queue-server.log",
        )
        try:
            found = _compare(port, rate, requests)
        finally:
            server.stop()
    except ContenderError as error:
        screen.print(f"[red]error:[/] {error}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped")
        raise typer.Exit(130) from None
    lines = [
        (
            each.name,
            f"{each.loadgen:.3g}",
            f"{each.ours:.3g}",
            f"{each.allowed:.2g}",
            "yes" if each.agrees else "**no**",
        )
        for each in found
    ]
    print(table(("figure", "LoadGen", "ours", "allowed", "agree"), lines))  # noqa: T201 - the output
    if not all(each.agrees for each in found):
        raise typer.Exit(1)


def _compare(port: int, rate: float, requests: int) -> list[comparison.Compared]:
    with TemporaryDirectory(prefix="loadgen-") as folder:
        target = _target(port, Path(folder))
        generator = Generator(target, ROOT, CACHE / "logs" / "loadgen-ours.log")
        try:
            if (first := generator.first(_ANSWER_WITHIN)).failed:
                raise ContenderError(first.failed)
            screen.print(f"LoadGen: {requests} requests at {rate:g}/s")
            theirs = _loadgen(port, rate, requests, Path(folder))
            issued = [later - sooner for sooner, later in itertools.pairwise(theirs["issued"])]
            screen.print("ours: the same arrivals")
            ours = generator.scheduled(issued, Limits(1.0, requests, 1000, 60.0))
        finally:
            generator.stop()
    summary = {
        percentile: float(theirs["summary"][f"{percentile}.00 percentile latency (ns)"]) / 1e6
        for percentile in PERCENTILES
    }
    return [
        *comparison.schedules(issued, gaps(rate, requests, "loadgen")),
        *comparison.percentiles(summary, theirs["seconds"], "LoadGen's requests, by each"),
        *comparison.percentiles(summary, ours["took"], "the same arrivals, sent by each"),
    ]


def _loadgen(port: int, rate: float, requests: int, folder: Path) -> dict[str, Any]:
    python = environment.folder_of("loadgen") / "bin" / "python"
    words = [str(word) for word in (port, rate, requests, folder)]
    done = subprocess.run(
        [python, "-m", "lab.bench.loadgen.issue", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ContenderError(f"LoadGen failed:\n{done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _target(port: int, folder: Path) -> Target:
    (folder / "photo.jpg").write_bytes(b"photo")
    named = ANSWER["probabilities"]
    return Target(
        protocol="http",
        port=port,
        path="/predict",
        parameters={},
        classes=list(named),
        photos=str(folder),
        reference=[list(named.values())],
    )


if __name__ == "__main__":
    typer.run(main)
