"""gRPC over TLS: certificates of server and callers, and a renewal under load."""

import asyncio
import socket
import ssl

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.certificates import Site

pytestmark = pytest.mark.anyio

LIVE = service_pb2.ServerLiveRequest()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.issue()
    site.trust_callers()
    return site


@pytest.fixture
async def channel(site):
    """Opens channels to a gateway, each with a connection of its own."""
    opened = []

    def opener(client, caller=None):
        pair = [path.read_bytes() for path in site.caller(caller)] if caller else (None, None)
        credentials = grpc.ssl_channel_credentials(site.trusted.read_bytes(), *pair[::-1])
        options = (("grpc.use_local_subchannel_pool", 1),)
        channel = grpc.aio.secure_channel(f"localhost:{client.port}", credentials, options)
        opened.append(channel)
        return channel

    yield opener
    for channel in opened:
        await channel.close()


def live(channel):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    return stub.ServerLive(LIVE, timeout=10)


async def test_calls_are_answered_over_tls_alone(open_grpc, site, channel):
    client = await open_grpc(tls=site.settings())
    assert (await live(channel(client))).live
    async with grpc.aio.insecure_channel(f"localhost:{client.port}") as plain:
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await live(plain)


async def test_a_callers_certificate_is_required_where_the_settings_say_so(
    open_grpc, site, channel, tmp_path
):
    client = await open_grpc(tls=site.settings(client_ca_file=site.client_ca))
    assert (await live(channel(client, "clinic"))).live
    with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
        await live(channel(client))
    other = tmp_path / "other"
    other.mkdir()
    site.callers = Site(other).callers
    with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
        await live(channel(client, "stranger"))


async def test_where_it_is_optional_callers_are_asked_for_none(open_grpc, site, channel):
    client = await open_grpc(
        tls=site.settings(client_ca_file=site.client_ca, client_certificates="optional")
    )
    assert (await live(channel(client))).live


async def test_tls_1_1_is_refused(open_grpc, site):
    client = await open_grpc(tls=site.settings())

    def shake_hands(version):
        context = ssl.create_default_context(cafile=site.trusted)
        context.set_alpn_protocols(["h2"])
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", client.port), timeout=10) as tcp,
            context.wrap_socket(tcp, server_hostname="localhost") as connection,
        ):
            return connection.version()

    with (
        pytest.warns(DeprecationWarning, match="TLSv1_1"),
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        await asyncio.to_thread(shake_hands, ssl.TLSVersion.TLSv1_1)
    assert await asyncio.to_thread(shake_hands, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


async def test_a_handshake_that_does_not_end_is_ended(open_grpc, site):
    client = await open_grpc(tls=site.settings(), head_seconds=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"\x16\x03\x01\x40\x00\x01")
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()


async def test_a_certificate_is_renewed_without_a_lost_call(open_grpc, site, channel):
    client = await open_grpc(tls=site.settings())
    tls = client.http._transport.app.state.tls
    kept, stop = channel(client), asyncio.Event()
    calls = 0

    async def ask(fresh):
        nonlocal calls
        while not stop.is_set():
            assert (await live(channel(client) if fresh else kept)).live
            calls += 1

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(ask(number % 2))
        for _ in range(5):
            leaf = site.issue().cert_chain_pems[0].bytes().decode()
            await asyncio.to_thread(tls.look)
            before = calls
            async with asyncio.timeout(10):
                shown = await asyncio.to_thread(
                    ssl.get_server_certificate, ("127.0.0.1", client.port), timeout=10
                )
                assert ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(leaf)
                while calls < before + 8:  # noqa: ASYNC110 - gRPC sets no event
                    await asyncio.sleep(0.01)
        stop.set()


async def test_callers_of_a_new_authority_are_let_in_and_those_of_the_old_one_no_longer(
    open_grpc, site, channel
):
    client = await open_grpc(tls=site.settings(client_ca_file=site.client_ca))
    old = channel(client, "old")
    assert (await live(old)).live
    former, site.callers = site.callers, Site(site.folder).callers
    site.trust_callers()
    await asyncio.to_thread(client.http._transport.app.state.tls.look)
    assert (await live(channel(client, "new"))).live
    # Who is connected goes on.
    assert (await live(old)).live
    site.callers = former
    with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
        await live(channel(client, "late"))
