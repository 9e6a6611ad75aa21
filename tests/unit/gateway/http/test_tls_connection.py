"""HTTP over TLS: connections have their place and time from the first byte of the handshake on."""

import contextlib
import socket
import ssl
import threading
import time
from functools import partial

import httpx
import pytest
from prometheus_client import generate_latest

from gateway.http.connection_limits import ConnectionLimits
from gateway.http.tls_connection import TlsConnection
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from gateway.tls import ServerTls
from tests.certificates import Site
from tests.unit.gateway.http.raw_http import BODY, HOST, LAST, Echo, post, serving, statuses

LENGTH = b"Content-Length: 5000"
FIRST = ("POST", "/first", BODY)


class Served:
    """A server over TLS. `tls` is what it shows."""

    def __init__(self, site, app, settings, tls):
        self.site, self.app, self.metrics = site, app, Metrics()
        self.tls = ServerTls(site.settings(**(tls or {})), self.metrics)
        limits = ConnectionLimits(Settings(**settings), self.metrics)
        self.protocol = partial(TlsConnection, tls=self.tls, limits=limits)

    def sample(self, name):
        lines = generate_latest(self.metrics.registry).decode().splitlines()
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        return float(line.split()[-1])

    def refused(self, reason):
        return self.sample(f'gateway_connections_refused_total{{reason="{reason}"}}')

    def until(self, condition):
        limit = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < limit
            time.sleep(0.01)

    def no_connections(self):
        self.until(lambda: self.sample("gateway_connections") == 0)


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    site.issue()
    site.trust_callers()
    return site


@pytest.fixture
def serve(site):
    with contextlib.ExitStack() as stack:

        def start(app=None, tls=None, **settings):
            served = Served(site, app or Echo(), settings, tls)
            # Closed once the server has stopped.
            served.callers = stack.enter_context(contextlib.ExitStack())
            served.address = stack.enter_context(
                serving(served.app, http=served.protocol, loop="uvloop")
            )
            return served

        yield start


def trusting(site, caller=None):
    context = ssl.create_default_context(cafile=site.trusted)
    if caller:
        context.load_cert_chain(*site.caller(caller))
    return context


def open_to(served, context=None):
    tcp = socket.create_connection(served.address, timeout=10)
    return (context or trusting(served.site)).wrap_socket(tcp, server_hostname="localhost")


def rest_of(connection):
    received = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while data := connection.recv(65536):
            received += data
    return received


def test_requests_are_answered_on_one_connection(serve):
    served = serve()
    with open_to(served) as connection:
        connection.sendall(post(LENGTH) + LAST)
        assert statuses(rest_of(connection)) == [200, 200]
    assert served.app.seen == [FIRST, ("GET", "/last", b"")]
    served.no_connections()


def test_a_request_in_the_bytes_that_end_the_handshake_is_read(serve):
    served = serve()
    memory_in, memory_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = trusting(served.site).wrap_bio(memory_in, memory_out, server_hostname="localhost")
    with socket.create_connection(served.address, timeout=10) as tcp:
        while True:
            try:
                caller.do_handshake()
                break
            except ssl.SSLWantReadError:
                tcp.sendall(memory_out.read())
                memory_in.write(tcp.recv(65536))
        caller.write(post(LENGTH) + LAST)
        tcp.sendall(memory_out.read())
        received = b""
        with contextlib.suppress(ConnectionResetError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while data := tcp.recv(65536):
                memory_in.write(data)
                with contextlib.suppress(ssl.SSLWantReadError):
                    while part := caller.read(65536):
                        received += part
    assert statuses(received) == [200, 200]


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x40\x00" + b"\x01" * 100])
def test_a_handshake_that_does_not_end_is_ended(serve, sent):
    served = serve(head_seconds=0.2)
    with socket.create_connection(served.address, timeout=10) as tcp:
        tcp.sendall(sent)
        served.until(lambda: served.sample("gateway_connections") == 1)
        # uvloop says with an alert why it hangs up.
        rest_of(tcp)
    served.no_connections()
    assert served.refused("too_slow") + served.refused("tls_handshake") == 1


def test_a_handshake_that_comes_drop_by_drop_has_no_more_time(serve):
    served = serve(head_seconds=0.2)
    with socket.create_connection(served.address, timeout=0.02) as tcp:
        tcp.sendall(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc")
        with contextlib.suppress(ConnectionError):
            while True:
                tcp.sendall(b"a")
                with contextlib.suppress(TimeoutError):
                    if not tcp.recv(65536):
                        break
    served.no_connections()
    assert served.refused("too_slow") == 1


def test_handshakes_take_places(serve):
    served = serve(connections=3, connections_per_address=2)
    waiting = [socket.create_connection(served.address, timeout=10) for _ in range(2)]
    served.until(lambda: served.sample("gateway_connections") == 2)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        open_to(served)
    assert served.refused("too_many_connections") == 1
    for tcp in waiting:
        tcp.close()
    served.no_connections()
    with open_to(served) as connection:
        connection.sendall(LAST)
        assert statuses(rest_of(connection)) == [200]


def test_what_is_no_tls_is_counted_and_leaves_no_place_taken(serve):
    served = serve()
    with socket.create_connection(served.address, timeout=10) as tcp:
        tcp.sendall(post(LENGTH))
        rest_of(tcp)
    served.no_connections()
    assert served.refused("tls_handshake") == 1
    assert served.app.seen == []


def test_who_hangs_up_in_a_handshake_leaves_no_place_taken(serve):
    served = serve()
    with socket.create_connection(served.address, timeout=10) as tcp:
        tcp.sendall(b"\x16\x03\x01")
        served.until(lambda: served.sample("gateway_connections") == 1)
    served.no_connections()


def test_older_versions_of_tls_are_refused(serve):
    served = serve()
    context = trusting(served.site)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with (
        socket.create_connection(served.address, timeout=10) as tcp,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(tcp, server_hostname="localhost")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(served.site)
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(served.address, timeout=10) as tcp,
            context.wrap_socket(tcp, server_hostname="localhost") as connection,
        ):
            connection.sendall(LAST)
            assert statuses(rest_of(connection)) == [200]


@pytest.mark.parametrize("sent", [b"", b"G", b"POST / HTTP/1.1\r\n" + HOST])
def test_a_head_has_its_time(serve, sent):
    served = serve(head_seconds=0.3)
    with open_to(served) as connection:
        connection.sendall(sent)
        assert statuses(rest_of(connection)) == ([408] if sent else [])
    served.no_connections()


def test_a_body_has_its_time(serve):
    served = serve(body_grace_seconds=0.3)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH, body=b"b" * 100))
        assert statuses(rest_of(connection)) == [408]
    served.no_connections()


def test_a_connection_without_a_request_is_ended(serve):
    served = serve(idle_seconds=0.3)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH))
        assert statuses(rest_of(connection)) == [200]
    served.no_connections()


class Large:
    """Answers more than the buffers between here and the caller hold."""

    def __init__(self):
        self.ended = threading.Event()

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(Exception):
            for _ in range(400):
                await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        self.ended.set()


def test_who_reads_nothing_of_an_answer_is_ended(serve):
    served = serve(Large(), idle_seconds=0.3)
    with open_to(served) as connection:
        connection.sendall(LAST)
        assert served.app.ended.wait(10)
    served.no_connections()


class Refusing:
    """Answers before the body has come."""

    async def __call__(self, scope, receive, send):
        headers = [(b"content-length", b"2"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})


def test_an_answer_before_the_end_of_the_body_is_read_by_the_caller(serve):
    served = serve(Refusing(), body_grace_seconds=0.5)
    with open_to(served) as connection:
        connection.sendall(post(b"Content-Length: 5000000", body=bytes(1_000_000)))
        assert statuses(rest_of(connection)) == [413]
    served.no_connections()


class Described(Echo):
    """Notes what is known of the caller's certificate."""

    async def __call__(self, scope, receive, send):
        self.chain = scope["extensions"]["tls"]["client_cert_chain"]
        self.scheme = scope["scheme"]
        await super().__call__(scope, receive, send)


def test_the_application_gets_the_callers_certificate(serve, site):
    served = serve(Described(), {"client_ca_file": site.client_ca})
    with open_to(served, trusting(site, "clinic")) as connection:
        connection.sendall(LAST)
        assert statuses(rest_of(connection)) == [200]
    assert served.app.scheme == "https"
    assert served.app.chain == [(site.folder / "clinic.crt").read_text()]


def test_who_has_no_certificate_gets_as_far_as_the_application(serve, site):
    """A probe has none; the application refuses the others."""
    served = serve(Described(), {"client_ca_file": site.client_ca})
    with open_to(served) as connection:
        connection.sendall(LAST)
        assert statuses(rest_of(connection)) == [200]
    assert served.app.chain == []


def test_a_certificate_of_another_authority_is_refused(serve, site, tmp_path):
    served = serve(tls={"client_ca_file": site.client_ca})
    other = tmp_path / "other"
    other.mkdir()
    context = trusting(site)
    context.load_cert_chain(*Site(other).caller("clinic"))
    with contextlib.suppress(ssl.SSLError, ConnectionError), open_to(served, context) as connection:
        connection.sendall(LAST)
        assert connection.recv(65536) == b""
    served.no_connections()
    assert served.app.seen == []
    assert served.refused("tls_handshake") == 1


def test_a_certificate_is_renewed_without_a_lost_request(serve, site):
    served = serve()
    context = trusting(site)
    shown, failed, stop = set(), [], threading.Event()

    def ask(keep):
        with httpx.Client(verify=context, timeout=10) as client:
            while not stop.is_set():
                headers = {} if keep else {"connection": "close"}
                try:
                    with client.stream(
                        "POST",
                        f"https://localhost:{served.address[1]}/",
                        content=BODY,
                        headers=headers,
                    ) as answer:
                        answer.raise_for_status()
                        network = answer.extensions["network_stream"]
                        ssl_object = network.get_extra_info("ssl_object")
                        shown.add(ssl_object.getpeercert(True))
                        answer.read()
                except Exception as error:  # noqa: BLE001 - any would be a lost request
                    failed.append(error)

    askers = [threading.Thread(target=ask, args=(number % 2,)) for number in range(4)]
    for asker in askers:
        asker.start()
    try:
        expected = set()
        for _ in range(5):
            pem = site.issue().cert_chain_pems[0].bytes().decode()
            expected.add(ssl.PEM_cert_to_DER_cert(pem))
            served.tls.look()
            served.until(lambda: expected <= shown or failed)
    finally:
        stop.set()
        for asker in askers:
            asker.join()
        assert failed == []


def test_a_server_that_stops_waits_for_no_handshake_and_no_idle_caller(serve):
    """Both would have half a minute; the time limit of this test ends it long before."""
    served = serve(head_seconds=600, idle_seconds=600)
    served.callers.enter_context(socket.create_connection(served.address, timeout=10))
    idle = served.callers.enter_context(open_to(served))
    idle.sendall(post(LENGTH))
    assert statuses(idle.recv(65536)) == [200]
    served.until(lambda: served.sample("gateway_connections") == 2)
