"""`python -m lab.bench.loadgen.issue PORT RATE REQUESTS FOLDER`: LoadGen's Server scenario.

In LoadGen's own environment, which has nothing else. Prints JSON: when each request was issued and
how long it took, in seconds, as seen from here, and the lines of LoadGen's summary.
"""

import http.client
import json
import queue
import sys
import threading
import time
from pathlib import Path

import mlperf_loadgen as loadgen

_THREADS = 64
_SAMPLES = 32
_BODY = b"photo"


class Asking:
    """Threads that send what LoadGen issues, each over a connection of its own."""

    def __init__(self, port: int) -> None:
        self.issued: list[float] = []
        self.seconds: list[float] = []
        self._port = port
        self._queue: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        for _ in range(_THREADS):
            threading.Thread(target=self._ask, daemon=True).start()

    def issue(self, samples: list[loadgen.QuerySample]) -> None:
        """Called by LoadGen, when requests are due."""
        for sample in samples:
            now = time.monotonic()
            self.issued.append(now)
            self._queue.put((sample.id, now))

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        while True:
            sample, begun = self._queue.get()
            connection.request("POST", "/predict", _BODY)
            connection.getresponse().read()
            self.seconds.append(time.monotonic() - begun)
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample, 0, 0)])


def nothing(_: list[int]) -> None:
    """The samples are all the same."""


def main(port: int, rate: float, requests: int, folder: Path) -> None:
    """Runs it once."""
    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.Server
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.server_target_qps = rate
    settings.server_target_latency_ns = 10**9
    settings.min_query_count = settings.max_query_count = requests
    settings.min_duration_ms = 0
    log = loadgen.LogSettings()
    log.log_output.outdir = str(folder)
    log.log_output.copy_summary_to_stdout = False
    asking = Asking(port)
    system = loadgen.ConstructSUT(asking.issue, lambda: None)
    samples = loadgen.ConstructQSL(_SAMPLES, _SAMPLES, nothing, nothing)
    loadgen.StartTestWithLogSettings(system, samples, settings, log)
    loadgen.DestroyQSL(samples)
    loadgen.DestroySUT(system)
    summary = {}
    for line in (folder / "mlperf_log_summary.txt").read_text("utf-8").splitlines():
        name, separator, value = line.partition(":")
        if separator:
            summary[name.strip()] = value.strip()
    print(  # noqa: T201 - the answer is the output
        json.dumps({"issued": asking.issued, "seconds": asking.seconds, "summary": summary})
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
