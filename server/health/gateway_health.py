"""Tells whether the gateway answers its own `/healthz`, hangs, or is only busy."""

import http.client
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor

from pipelines.tls import GatewayTls
from server.health.stall import ModelSample, Stall
from server.triton.backend_processes import cpu_seconds

_INTERVAL_SECONDS = 5.0
_TIMEOUT_SECONDS = 10.0
_NAME = "gateway"


def connect(host: str, port: int, seconds: float) -> http.client.HTTPConnection:
    """A connection to the gateway, over TLS where its settings say so.

    Its certificate is not checked: it is a child process on this machine, and its name another.
    """
    if not GatewayTls().on:
        return http.client.HTTPConnection(host, port, timeout=seconds)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)


class GatewayHealth:
    """Probes `/healthz` in a thread, one probe at a time.

    A gateway that does not answer is judged as a model is whose requests wait (decisions/0031): by
    its CPU time. One that works on a starved machine is left alone.
    """

    def __init__(self, host: str, port: int) -> None:
        """Takes where the gateway answers over HTTP."""
        self._address = (host, port)
        self._pool = ThreadPoolExecutor(1)
        self.forget()

    def forget(self) -> None:
        """Starts again without any result: the gateway was started anew."""
        self._probe: Future[bool] | None = None
        self._next = 0.0
        self._answers = 0
        self._unanswered = False
        self._stall = Stall()

    def hangs(self, pid: int) -> bool:
        """Takes one more look, each second or so; True where this process hangs."""
        now = time.monotonic()
        if self._probe and self._probe.done():
            answered = self._probe.result()
            self._probe, self._unanswered = None, not answered
            self._answers += answered
            self._next = now + _INTERVAL_SECONDS
        if self._probe is None and now >= self._next:
            self._probe = self._pool.submit(self._ask)
        sample = ModelSample(
            waiting=int(self._unanswered), inferences=self._answers, cpu=cpu_seconds(pid)
        )
        return bool(self._stall.hanging(now, {_NAME: sample}))

    def close(self) -> None:
        """Ends without waiting for the probe."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> bool:
        connection = connect(*self._address, _TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/healthz")
            # Where all connections are taken it says 503, and lives.
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True
