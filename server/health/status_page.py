"""The launcher's HTTP page: its metrics, `/healthz`, `/readyz` and `/releases`."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from server.errors import StartError
from server.health.launcher_health import LauncherHealth

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    # Seconds after which a caller that sends nothing is disconnected.
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Writes no line for each probe."""


class StatusPage:
    """`/metrics`, `/healthz`, `/readyz`, also as `?pipeline=NAME`, and `/releases`."""

    def __init__(self, health: LauncherHealth) -> None:
        self._metrics = make_wsgi_app(health.registry)
        self._health = health

    def serve(self, host: str, port: int) -> None:
        """HealthMonitor from threads that end with the process.

        Raises:
            StartError: the port is taken, or the address is none of this machine's.
        """
        try:
            server = make_server(host, port, self, _Server, _Quiet)
        except OSError as error:
            raise StartError(
                f"metrics: {host}, port {port}: {error.strerror}; change SERVER_METRICS_PORT"
            ) from None
        Thread(target=server.serve_forever, name="status", daemon=True).start()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """A WSGI application."""
        match environ["PATH_INFO"]:
            case "/metrics":
                page: Iterable[bytes] = self._metrics(environ, start_response)
                return page
            case "/healthz":
                good = self._health.lives
                facts: Mapping[str, Any] = {"alive": good}
            case "/readyz":
                asked = parse_qs(environ["QUERY_STRING"]).get("pipeline")
                pipelines = self._health.pipelines()
                good = set(asked) <= set(pipelines) if asked else bool(pipelines)
                facts = {"ready": good}
            case "/releases":
                good, facts = True, self._health.releases()
            case _:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [b"There are /metrics, /healthz, /readyz and /releases.\n"]
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(facts).encode()]
