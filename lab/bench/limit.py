"""`python -m lab.bench.limit`: the limit: decoding and models in one process, without a server.

Reads lines of JSON: `{"batch": 8, "seconds": 4}` runs batches until time is up, `{"photos": true}`
answers the numbers of each photo's right answer: the reference. It ends with its input.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.bench.ensemble import opened
from lab.bench.plan import Plan


class Limit:
    """Photos in memory to answers, as fast as this process can."""

    def __init__(self, photos: list[bytes], threads: int) -> None:
        self._photos, self._threads = photos, threads
        self._model = opened(Plan.of_environment(), threads)
        self._pool = ThreadPoolExecutor(threads)

    def reference(self) -> dict[str, Any]:
        """The right answer's numbers of each photo, alone in its batch."""
        each = (self._run([data])[0] for data in self._photos)
        return {"numbers": [self._model.numbers(found) for found in each]}

    def measure(self, batch: int, seconds: float) -> dict[str, Any]:
        """Runs batches for a while; a first one does not count."""
        self._run(self._batch(0, batch))
        images, start = 0, time.perf_counter()
        cpu = time.process_time()
        while (elapsed := time.perf_counter() - start) < seconds:
            self._run(self._batch(images, batch))
            images += batch
        return {
            "images": images,
            "seconds": elapsed,
            "cpu_seconds": time.process_time() - cpu,
        }

    def _batch(self, first: int, size: int) -> list[bytes]:
        return [self._photos[(first + each) % len(self._photos)] for each in range(size)]

    def _run(self, photos: list[bytes]) -> list[Any]:
        decode = self._model.decode
        # A pool of one thread would only hand things to and fro.
        decoded = map(decode, photos) if self._threads == 1 else self._pool.map(decode, photos)
        return list(self._model.run(list(decoded)))


def main(
    photos: Annotated[Path, typer.Option(help="Folder of JPEGs.")],
    threads: Annotated[int, typer.Option(help="Of decode, and of each forward pass.")],
) -> None:
    """Obeys until the input ends."""
    limit = Limit([path.read_bytes() for path in sorted(photos.glob("*.jpg"))], threads)
    for line in sys.stdin:
        words = json.loads(line)
        answer = limit.reference() if words.get("photos") else limit.measure(**words)
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answers are the output


if __name__ == "__main__":
    typer.run(main)
