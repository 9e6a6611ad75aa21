import socket
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from tritonclient.grpc.aio import InferenceServerClient

from database.engine import open_engine
from gateway import app
from gateway.identity.key_format import ApiKey
from gateway.identity.key_store import KeyStore
from gateway.identity.principal import Role
from gateway.identity.stored_keys import Grant
from gateway.secret_files import SecretFiles
from gateway.settings import Settings
from pipelines import pauses
from pipelines.ports import Ports
from tests.unit.gateway.toy_triton import ToyTriton, running


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def own_database(sqlite_url, monkeypatch):
    """Gateways of a test keep what they keep in its own folder."""
    monkeypatch.setenv("GATEWAY_DATABASE_URL", sqlite_url)
    monkeypatch.setenv(
        "GATEWAY_SECRETS_DIR", f"{Path(sqlite_url.removeprefix('sqlite:///')).parent}/secrets"
    )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    """Tests that run at low priority beside others may wait for seconds: that is no pause."""
    monkeypatch.setattr(pauses, "_SECONDS", 600.0)


@pytest.fixture
def key_store():
    """The keys of the test's own database."""
    engine = open_engine(Settings().database_url)
    yield KeyStore(engine)
    engine.dispose()


@pytest.fixture
def new_key(key_store):
    """Makes keys for a gateway of the test that has `auth="required"`; gives their text."""

    def make(name="clinic", roles=(Role.PREDICT, Role.OPERATE), pipelines=None, **options):
        key = ApiKey.new()
        pepper = SecretFiles(Settings().secrets_dir, made=True).pepper()
        grant = Grant(name, frozenset(roles), pipelines and frozenset(pipelines))
        key_store.create(grant, pepper, key=key, **options)
        return key.text

    return make


@pytest.fixture
async def triton():
    async with running(ToyTriton()) as toy:
        yield toy


@pytest.fixture
async def start(triton):
    """Starts applications, by default until the first probe is over; gives a client for each."""
    opened = []

    async def starter(*, settled=True, grpc_port=8011, **settings):
        ports = Ports(triton_grpc_port=triton.port, gateway_grpc_port=grpc_port)
        # On a busy machine many requests at once take longer than a pipeline promises.
        patient = {"readiness_interval_seconds": 60, "respond_within_ms": 60_000}
        application = app.create_app(Settings(ports=ports, **patient | settings))
        lifespan = application.router.lifespan_context(application)
        await lifespan.__aenter__()
        client = AsyncClient(transport=ASGITransport(application), base_url="http://gateway")
        opened.append((client, lifespan))
        if settled:
            await triton.probed()
        return client

    yield starter
    # First, so that work that never ends keeps nobody waiting.
    await triton.stop()
    for client, lifespan in opened:
        await client.aclose()
        await lifespan.__aexit__(None, None, None)


@pytest.fixture
async def client(start):
    return await start()


@pytest.fixture
async def open_grpc(start, monkeypatch):
    """Starts applications with their gRPC side open; gives a stock client for each.

    Its `http` is a client of the same application, and `reception` what receives its images.
    """
    clients, receptions = [], []
    made = app._receptions

    def kept(settings):
        facts, images = made(settings)
        receptions.append(images)
        return facts, images

    monkeypatch.setattr(app, "_receptions", kept)

    async def opener(**settings):
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            port = trial.getsockname()[1]
        http = await start(grpc_port=port, **settings)
        await http._transport.app.state.grpc_server.open()
        client = InferenceServerClient(f"127.0.0.1:{port}")
        client.http, client.port = http, port
        client.reception = receptions[-1]
        clients.append(client)
        return client

    yield opener
    for client in clients:
        await client.close()


@pytest.fixture
async def grpc_client(open_grpc):
    return await open_grpc()


@pytest.fixture
def serving(start, triton):
    """A client of a gateway whose default pipeline is the given one."""

    async def server(spec):
        triton.serve(spec)
        return await start(default_pipeline=spec.name)

    return server
