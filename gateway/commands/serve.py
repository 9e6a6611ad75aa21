"""Serves HTTP and gRPC until the process is told to stop."""

import asyncio
import os
import signal
from contextlib import suppress
from functools import partial
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client import disable_created_metrics

from gateway.app import create_app
from gateway.commands.setup import opened_database, stop, stops_on_errors
from gateway.core.memory import bound_heaps
from gateway.core.readiness import Readiness
from gateway.grpc.server import GrpcServer, GrpcServerError
from gateway.http.connection import Connection
from gateway.http.connection_limits import raise_descriptor_limit
from gateway.http.tls_connection import TlsConnection
from gateway.settings import Settings
from gateway.telemetry import logs
from pipelines.certificates import TlsError

_KEYS_FILE = "GATEWAY_API_KEYS_FILE"


class _Server(uvicorn.Server):
    """Serves gRPC beside HTTP. From the first signal to stop on, readiness probes fail."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._grpc: GrpcServer = app.state.grpc_server
        self._readiness: Readiness = app.state.readiness

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        try:
            await self._grpc.open()
        except GrpcServerError:
            await super().shutdown(sockets)
            raise

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        # Both drain at the same time; the application, before it shuts down, waits for this.
        closing = asyncio.create_task(self._grpc.close())
        await super().shutdown(sockets)
        if not self.force_exit:
            await closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._readiness.draining = True
        super().handle_exit(sig, frame)


def serve() -> None:
    """Runs until it is told to stop; ends the process with 2 where it cannot start as set up."""
    if os.environ.get(_KEYS_FILE):
        # Without it a gateway on loopback would now let everyone in.
        stop(
            f"{_KEYS_FILE} is not read any more: API keys are in the database. Take them over with "
            "`python -m gateway keys import FILE`, remove the setting, and set "
            "GATEWAY_AUTH=required"
        )
    with stops_on_errors(TlsError):
        settings = Settings()
        with opened_database(settings, made=True):
            app = create_app(settings)
    logs.configure()
    bound_heaps()
    app.state.connection_limits.fit(raise_descriptor_limit())
    # Series of creation times would double the size of a scrape.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    limits, tls = app.state.connection_limits, app.state.tls
    connection = partial(TlsConnection, tls=tls) if tls else Connection
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.ports.gateway_port,
        loop="uvloop",
        http=partial(connection, limits=limits),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    # uvicorn raises its signal again at the end, but a drained gateway has succeeded.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt), stops_on_errors(GrpcServerError):
        _Server(config, app).run()
