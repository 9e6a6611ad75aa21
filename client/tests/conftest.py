import asyncio
import os
import socket
import subprocess
import threading
import time
from contextlib import ExitStack

import pytest
import uvicorn
from secondopinion import AsyncClient, Client, Retries
from secondopinion.command_line import app
from typer.testing import CliRunner

from client.tests.processes import COMMAND
from client.tests.service import Service, create_app
from tests.processes import child

QUICK = Retries(attempts=4, total_seconds=20, first_delay=0.01, longest_delay=0.02)


@pytest.fixture(scope="session")
def running_service():
    service = Service()
    # The socket is bound here, so no other process can take the port before the server has it.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        service.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(service), log_level="error", lifespan="off", ws="none", loop="asyncio"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        end = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < end, "the test service did not start"
            time.sleep(0.01)
        yield service
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def service(running_service, monkeypatch):
    running_service.reset()
    for name in ("SECONDOPINION_URL", "SECONDOPINION_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return running_service


@pytest.fixture(params=["sync", "async"])
def ask(request, service):
    """Calls a method of either client by name, so that both pass the same tests."""

    def ask_sync(method, *args, options=None, **kwargs):
        with Client(**({"url": service.url, "retries": QUICK} | (options or {}))) as client:
            return getattr(client, method)(*args, **kwargs)

    async def ask_async(method, *args, options=None, **kwargs):
        settings = {"url": service.url, "retries": QUICK} | (options or {})
        async with AsyncClient(**settings) as client:
            return await getattr(client, method)(*args, **kwargs)

    if request.param == "sync":
        return ask_sync
    return lambda *args, **kwargs: asyncio.run(ask_async(*args, **kwargs))


@pytest.fixture
def closed_url():
    """An address on which nobody listens: its port is held, but never listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def command(service, monkeypatch):
    """Runs the command against the service; COLUMNS gives rich a width to wrap help at."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(
        app, list(map(str, words)), env={"SECONDOPINION_URL": service.url}
    )


@pytest.fixture
def environment(service):
    return os.environ | {"SECONDOPINION_URL": service.url, "PYTHONWARNINGS": "error"}


@pytest.fixture
def start(environment):
    """Starts the command as a process of its own, which ends with the test at the latest."""
    with ExitStack() as stack:

        def start(words, **options):
            settings = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            command = [*COMMAND, *map(str, words)]
            return stack.enter_context(child(command, **settings | options))

        yield start
