"""Serves HTTP and gRPC until the process is told to stop."""

import asyncio
import signal
import sys
from contextlib import suppress
from functools import partial
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client import disable_created_metrics
from pydantic import ValidationError

from database.engine import DatabaseError, open_engine, require_schema
from gateway.app import create_app
from gateway.core.memory import bound_heaps
from gateway.core.readiness import Readiness
from gateway.grpc.server import GrpcServer, GrpcServerError
from gateway.http.connection import Connection
from gateway.http.connection_limits import raise_descriptor_limit
from gateway.http.tls_connection import TlsConnection
from gateway.identity.api_keys import ApiKeysError
from gateway.secret_files import SecretError
from gateway.settings import Settings
from gateway.telemetry import logs
from gateway.tls import TlsError


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


def serve() -> int:
    """Runs until it is told to stop. Returns 2 where it cannot start as configured."""
    try:
        settings = Settings()
        require_schema(open_engine(settings.database_url))
        app = create_app(settings)
    except ValidationError as error:
        for item in error.errors():
            sys.stderr.write(f"gateway: {_message(error.title, item['loc'], item['msg'])}\n")
        return 2
    except (ApiKeysError, DatabaseError, SecretError, TlsError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
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
    with suppress(KeyboardInterrupt):
        try:
            _Server(config, app).run()
        except GrpcServerError as error:
            sys.stderr.write(f"gateway: {error}\n")
            return 2
    return 0


def _message(model: str, location: tuple[int | str, ...], message: str) -> str:
    """The error of a setting, by the name of its environment variable."""
    text = message.removeprefix("Value error, ")
    if not location:
        return text
    prefix = "GATEWAY_" if model == Settings.__name__ else ""
    return f"{prefix}{str(location[0]).upper()}: {text}"
