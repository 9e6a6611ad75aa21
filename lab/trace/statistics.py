"""Reads what Triton has counted of a pipeline's models, request by request."""

import time
from typing import Any

import tritonclient.grpc as grpcclient

from lab.errors import LabError
from lab.trace.breakdown import TritonTimes
from pipelines.protocol import decision_model

_NANO = 1e9
_WITHIN = 5.0


class TritonStatistics:
    """The counters of an ensemble and its steps; nobody else may ask meanwhile."""

    def __init__(self, port: int, pipeline: str) -> None:
        self._client = grpcclient.InferenceServerClient(f"127.0.0.1:{port}")
        self._pipeline = pipeline
        self._last = self._counters()

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()

    def skip(self) -> None:
        """Forgets what was counted so far."""
        self._last = self._counters()

    def request(self) -> TritonTimes:
        """What was counted of the one request since the last call, once all of it is.

        Raises:
            LabError: there was none, or more than one.
        """
        until = time.monotonic() + _WITHIN
        while True:
            now = self._counters()
            counts = {name: now[name][0] - self._last[name][0] for name in now}
            # A step's counters may come a moment after the ensemble's.
            asked = (counts[self._pipeline], counts[decision_model(self._pipeline)])
            if asked == (1, 1) and max(counts.values()) == 1:
                break
            if time.monotonic() > until or max(counts.values()) > 1:
                raise LabError(f"Triton counted {counts} requests, not one: who else asks it?")
        last, self._last = self._last, now
        whole = now[self._pipeline][1] - last[self._pipeline][1]
        queued = sum(now[name][2] - last[name][2] for name in now if name != self._pipeline)
        return TritonTimes(whole, queued)

    def _counters(self) -> dict[str, tuple[int, float, float]]:
        """Answered requests, seconds in all and seconds queued, by model."""
        answer = self._client.get_inference_statistics(as_json=True)
        found: dict[str, tuple[int, float, float]] = {}
        for each in answer.get("model_stats", []):
            facts: dict[str, Any] = each.get("inference_stats", {})
            success, queue = facts.get("success", {}), facts.get("queue", {})
            found[each["name"]] = (
                int(success.get("count", 0)),
                int(success.get("ns", 0)) / _NANO,
                int(queue.get("ns", 0)) / _NANO,
            )
        return found
