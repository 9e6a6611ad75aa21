"""Callers who hold connections and send nothing, or little, are ended; the others are answered."""

import asyncio
import contextlib
import json
import resource
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from gateway.http.connection import Connection
from gateway.http.connection_limits import ConnectionLimits, network_of
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from tests.integration.gateway import gateway
from tests.unit.gateway.http.raw_http import HOST, LAST, Echo, exchange, post, serving, statuses

LENGTH = b"Content-Length: 5000"


class Served:
    def __init__(self, app, settings):
        self.app, self.metrics = app, Metrics()
        limits = ConnectionLimits(Settings(**settings), self.metrics)
        self.protocol = partial(Connection, limits=limits)

    def refused(self, reason):
        text = generate_latest(self.metrics.registry).decode()
        (line,) = (
            line
            for line in text.splitlines()
            if line.startswith(f'gateway_connections_refused_total{{reason="{reason}"}}')
        )
        return float(line.split()[-1])

    @property
    def connections(self):
        text = generate_latest(self.metrics.registry).decode()
        (line,) = (line for line in text.splitlines() if line.startswith("gateway_connections "))
        return float(line.split()[-1])


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:

        def start(app=None, **settings):
            served = Served(app or Echo(), settings)
            served.address = stack.enter_context(serving(served.app, http=served.protocol))
            return served

        yield start


def open_to(served):
    connection = socket.create_connection(served.address, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def rest_of(connection):
    """All that still comes, until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def problem_in(answer, status, code):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert statuses(answer) == [status]
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert json.loads(body)["code"] == code
    return head


def test_a_caller_who_sends_nothing_is_hung_up_on_without_an_answer(serve):
    served = serve(head_seconds=0.1)
    with open_to(served) as connection:
        assert rest_of(connection) == b""


@pytest.mark.parametrize("head", [b"G", b"POST / HTTP/1.1\r\n" + HOST, b"GET / HTTP/1.1\r\nX-A: 1"])
def test_a_head_that_does_not_end_in_time_is_408(serve, head):
    served = serve(head_seconds=0.1)
    with open_to(served) as connection:
        connection.sendall(head)
        problem_in(rest_of(connection), 408, "too_slow")
    assert served.refused("too_slow") == 1
    assert served.app.seen == []


def test_a_head_that_comes_drop_by_drop_has_no_more_time(serve):
    served = serve(head_seconds=0.2)
    with open_to(served) as connection:
        connection.settimeout(0.02)
        connection.sendall(b"GET / HTTP/1.1\r\nX-Drops: ")
        answer = b""
        while not answer:
            connection.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
        problem_in(answer, 408, "too_slow")


def test_a_second_head_has_its_time_too(serve):
    served = serve(head_seconds=0.1, idle_seconds=30)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH) + b"GET /second HTTP/1.1\r\n")
        assert statuses(rest_of(connection)) == [200, 408]


def test_a_connection_without_a_request_is_closed_after_a_while(serve):
    served = serve(idle_seconds=0.1, head_seconds=30)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH))
        assert statuses(rest_of(connection)) == [200]
    assert served.refused("too_slow") == 0


def test_line_ends_between_requests_do_not_keep_a_connection(serve):
    served = serve(idle_seconds=0.2, head_seconds=30)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH))
        connection.settimeout(0.02)
        with contextlib.suppress(ConnectionError):
            while True:
                connection.sendall(b"\r\n")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(65536):
                        break


@pytest.mark.parametrize(
    "sent",
    [
        post(LENGTH, body=b""),
        post(LENGTH, body=b"b" * 4000),
        post(b"Transfer-Encoding: chunked", body=b""),
        post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"),
        post(b"Expect: 100-continue", LENGTH, body=b""),
    ],
)
def test_a_body_that_does_not_come_is_408_and_its_reader_is_told(serve, sent):
    served = serve(body_grace_seconds=0.2)
    with open_to(served) as connection:
        connection.sendall(sent)
        answer = rest_of(connection)
    problem_in(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"), 408, "too_slow")
    assert served.refused("too_slow") == 1
    assert served.app.seen == []


def test_a_body_that_comes_drop_by_drop_is_408(serve):
    served = serve(body_grace_seconds=0.2, body_bytes_per_second=1000)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH, body=b""))
        connection.settimeout(0.02)
        answer = b""
        while not answer:
            connection.sendall(b"b")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
        problem_in(answer, 408, "too_slow")


def test_a_body_that_comes_fast_enough_is_read_however_long_it_takes(serve):
    served = serve(body_grace_seconds=1, body_bytes_per_second=100, head_seconds=0.1)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH, body=b""))
        for _ in range(50):
            time.sleep(0.025)
            connection.sendall(b"b" * 100)
        connection.sendall(LAST)
        assert statuses(rest_of(connection)) == [200, 200]
    assert served.app.seen[0] == ("POST", "/first", b"b" * 5000)


class Slow(Echo):
    """Waits before it reads, until the connection's times have passed."""

    async def __call__(self, scope, receive, send):
        await asyncio.sleep(0.5)
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize("headers", [(), (b"Expect: 100-continue",)])
def test_the_gateways_own_slowness_is_not_the_callers(serve, headers):
    served = serve(
        Slow(), body_grace_seconds=0.1, body_bytes_per_second=100_000_000, head_seconds=0.1,
        idle_seconds=0.1,
    )  # fmt: skip
    body = bytes(1_000_000)
    with open_to(served) as connection:
        connection.sendall(post(b"Content-Length: 1000000", *headers, body=b""))
        if headers:
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert statuses(rest_of(connection)) == [200]
    assert served.app.seen == [("POST", "/first", body)]


async def answered_unread(_scope, _receive, send):
    await send(
        {"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("rest", [b"", b"5\r\nhello\n"])
def test_the_rest_of_a_body_that_was_answered_gets_no_second_answer(serve, rest):
    served = serve(answered_unread, body_grace_seconds=0.1)
    with open_to(served) as connection:
        connection.sendall(post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"))
        first = connection.recv(65536)
        connection.sendall(rest)
        assert statuses(first + rest_of(connection)) == [401]


@pytest.mark.parametrize(
    "head",
    [
        post(b"Content-Length: 20000000", b"Connection: close", body=b""),
        post(b"Content-Length: 20000000", body=b"").replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(b"Content-Length: 20000000", body=b""),
    ],
    ids=["close", "HTTP/1.0", "kept"],
)
def test_who_reads_only_once_all_is_sent_gets_the_answer_too(serve, head):
    served = serve(answered_unread, idle_seconds=0.5)
    with open_to(served) as connection:
        connection.sendall(head)
        connection.sendall(bytes(20_000_000))
        assert statuses(rest_of(connection)) == [401]


def test_a_connection_that_is_closed_reads_no_further_request(serve):
    served = serve(answered_unread)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH, b"Connection: close", body=b"b"))
        first = connection.recv(65536)
        connection.sendall(b"b" * 4999 + LAST)
        assert statuses(first + rest_of(connection)) == [401]


def test_the_rest_of_a_body_that_was_answered_has_an_end(serve):
    served = serve(
        answered_unread, body_grace_seconds=0.1, body_bytes_per_second=1, deadline_seconds=0.2
    )
    with open_to(served) as connection:
        connection.sendall(post(b"Content-Length: 99999999999", body=b""))
        connection.settimeout(0.02)
        with contextlib.suppress(ConnectionError):
            while True:
                connection.sendall(bytes(10_000))
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(65536):
                        break


class Much:
    """Answers more than the sockets hold."""

    ended = False

    async def __call__(self, _scope, _receive, send):
        size = 50_000_000
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(2):
            await send({"type": "http.response.body", "body": bytes(size // 2), "more_body": True})
        await send({"type": "http.response.body"})
        self.ended = True


def test_an_answer_that_nobody_reads_is_dropped(serve):
    served = serve(Much(), idle_seconds=0.1)
    with open_to(served) as connection:
        connection.sendall(post(LENGTH))
        while served.connections != 0 or not served.app.ended:
            assert len(connection.recv(1, socket.MSG_PEEK)) == 1


def test_an_answer_that_is_read_slowly_is_sent_whole(serve):
    served = serve(Much(), idle_seconds=0.3)
    received = 0
    with open_to(served) as connection:
        connection.sendall(post(LENGTH, b"Connection: close"))
        while data := connection.recv(1_000_000):
            received += len(data)
            time.sleep(0.02)
    assert received > 50_000_000


def test_connections_beyond_the_limit_are_503_and_the_open_ones_go_on(serve):
    served = serve(connections=2, connections_per_address=2)
    with open_to(served) as first, open_to(served) as second:
        first.sendall(post(LENGTH, body=b"b" * 2500))
        second.sendall(post(LENGTH))
        assert statuses(second.recv(65536)) == [200]
        for _ in range(3):
            with open_to(served) as third:
                head = problem_in(rest_of(third), 503, "too_many_connections")
                assert b"retry-after: " in head.lower()
        assert served.refused("too_many_connections") == 3
        assert served.connections == 2
        first.sendall(b"b" * 2500 + LAST)
        assert statuses(rest_of(first)) == [200, 200]
        second.sendall(LAST)
        assert statuses(rest_of(second)) == [200]
    while served.connections:
        pass
    assert statuses(exchange(served.address, LAST)) == [200]


def test_one_address_cannot_take_all_connections(serve):
    served = serve(connections=10, connections_per_address=1)
    with open_to(served) as first:
        first.sendall(post(LENGTH))
        assert statuses(first.recv(65536)) == [200]
        with open_to(served) as second:
            problem_in(rest_of(second), 503, "too_many_connections")
        with socket.create_connection(served.address, 10, ("127.0.0.2", 0)) as other:
            other.sendall(LAST)
            assert statuses(rest_of(other)) == [200]


def test_who_has_no_connection_gets_one_beside_those_who_have_many(serve):
    served = serve(connections=64, connections_per_address=64)
    with contextlib.ExitStack() as stack:
        for _ in range(62):
            stack.enter_context(open_to(served))
        with open_to(served) as refused:
            problem_in(rest_of(refused), 503, "too_many_connections")
        with socket.create_connection(served.address, 10, ("127.0.0.2", 0)) as probe:
            probe.sendall(LAST)
            assert statuses(rest_of(probe)) == [200]


def test_a_refused_connection_is_not_parsed(serve):
    served = serve(connections=1, connections_per_address=1)
    with open_to(served) as first:
        first.sendall(post(LENGTH))
        assert statuses(first.recv(65536)) == [200]
        assert statuses(exchange(served.address, LAST)) == [503]
    assert [path for _, path, _ in served.app.seen] == ["/first"]


def test_an_ipv6_caller_is_its_network():
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::7")
    assert network_of("2001:db8:1:3::7") != network_of("2001:db8:1:2::7")
    assert network_of("::ffff:10.0.0.7") == network_of("10.0.0.7") != network_of("10.0.0.8")
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth0")


def test_many_small_headers_are_431(serve):
    served = serve()
    head = b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 600 + b"\r\n"
    problem_in(exchange(served.address, head), 431, "head_too_large")
    assert served.refused("head_too_large") == 1


def test_headers_without_an_end_are_not_read_beyond_the_limit(serve, monkeypatch):
    read = []
    own = Connection.on_header
    monkeypatch.setattr(
        Connection, "on_header", lambda self, *field: (read.append(field), own(self, *field))
    )
    served = serve()
    head = b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 40_000
    problem_in(exchange(served.address, head), 431, "head_too_large")
    assert len(read) < 1000


def test_requests_that_are_sent_ahead_have_a_limit(serve):
    ask = b"GET /ahead HTTP/1.1\r\n" + HOST + b"\r\n"
    served = serve()
    answer = statuses(exchange(served.address, ask * 3000))
    assert set(answer) == {200}
    assert len(answer) < 100
    assert len(served.app.seen) == len(answer)


def test_the_gateway_allows_itself_all_descriptors_it_may_have():
    code = (
        "import resource; from gateway.http.connection_limits import raise_descriptor_limit;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512));"
        "print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout == "512 512 512\n"


@pytest.mark.parametrize(("descriptors", "connections"), [(65536, 1000), (1024, 896), (100, 50)])
def test_connections_leave_descriptors_for_the_rest(descriptors, connections):
    limits = ConnectionLimits(Settings(connections=1000), Metrics())
    with capture_logs() as lines:
        limits.fit(descriptors)
    assert limits.total == connections
    assert len(lines) == (connections < 1000)


def test_a_gateway_without_descriptors_closes_what_it_cannot_serve_and_goes_on():
    with gateway(1, GATEWAY_HEAD_SECONDS="60") as client:
        process, place = client.process.pid, (client.base_url.host, client.base_url.port)
        used = len(list(Path(f"/proc/{process}/fd").iterdir()))
        assert resource.prlimit(process, resource.RLIMIT_NOFILE)[0] > 1000
        resource.prlimit(process, resource.RLIMIT_NOFILE, (used + 5, used + 5))
        with contextlib.ExitStack() as stack:
            opened = [
                stack.enter_context(socket.create_connection(place, timeout=10)) for _ in range(40)
            ]
            # Those beyond the limit are closed; one of the first is answered.
            assert rest_of(opened[-1]) == b""
            opened[0].sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert statuses(opened[0].recv(65536)) == [200]
        answer = None
        while answer is None:
            # Those that it closes at the moment still have their descriptors.
            with contextlib.suppress(httpx.TransportError):
                answer = client.get("/healthz")
        assert answer.status_code == 200
