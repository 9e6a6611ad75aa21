"""No bytes on a connection are read as a request that its sender did not mean as one."""

import socket
from functools import partial

import pytest

from gateway.http.connection import HEAD_LIMIT, Connection
from gateway.http.connection_limits import ConnectionLimits
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from tests.unit.gateway.http.raw_http import (
    BODY,
    HOST,
    LAST,
    SMUGGLED,
    Echo,
    exchange,
    java,
    post,
    serving,
    statuses,
)

FIRST = ("POST", "/first", BODY)
H2C = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
)
CHUNKS = b"1388\r\n" + BODY + b"\r\n0\r\n\r\n"
LENGTH = b"Content-Length: 5000"
CHUNKED = b"Transfer-Encoding: chunked"

READ = {
    "by its length": [post(LENGTH)],
    "in chunks": [post(CHUNKED, body=CHUNKS)],
    "in chunks, with extensions": [
        post(CHUNKED, body=b'1388;name=value;other="a b"\r\n' + BODY + b"\r\n0;last\r\n\r\n")
    ],
    "in chunks, with a trailer": [
        post(CHUNKED, body=b"1388\r\n" + BODY + b"\r\n0\r\nX-Checksum: 1\r\n\r\n")
    ],
    "from Java's HttpClient": [java()],
    "from Java's HttpClient, the body late": [java()[:-5000], BODY],
    "from Java's HttpClient, byte by byte at first": [
        java()[:1], java()[1:100], java()[100:200], java()[200:],
    ],
    "from Java's HttpClient, cut in the middle of the body": [java()[:-2500], java()[-2500:]],
    "from curl --http2": [post(*H2C, LENGTH)],
    "an upgrade in chunks": [post(*H2C, CHUNKED, body=CHUNKS)],
    "an upgrade in chunks, the body late": [post(*H2C, CHUNKED, body=b""), CHUNKS],
    "an upgrade to websocket": [
        post(b"Connection: Upgrade", b"Upgrade: websocket", LENGTH),
    ],
    "an upgrade that Connection does not name": [post(b"Upgrade: h2c", LENGTH)],
    "an upgrade in two Connection headers": [
        post(b"Connection: keep-alive", b"Connection: UPGRADE", b"Upgrade: h2c", LENGTH),
    ],
    "an upgrade with a request for a body": [
        post(*H2C, LENGTH, body=SMUGGLED + bytes(5000 - len(SMUGGLED))),
    ],
    "the same, late": [
        post(*H2C, LENGTH, body=b""), SMUGGLED + bytes(5000 - len(SMUGGLED)),
    ],
    "an upgrade that waits for 100 Continue": [
        post(*H2C, b"Expect: 100-continue", LENGTH, body=b""), BODY,
    ],
}  # fmt: skip
"""A request in one or several segments, of which exactly one is read, with its whole body."""


@pytest.fixture(scope="module")
def echo():
    app = Echo()
    limits = ConnectionLimits(Settings(), Metrics())
    with serving(app, http=partial(Connection, limits=limits)) as app.address:
        yield app


@pytest.fixture(autouse=True)
def forgotten(echo):
    echo.seen.clear()


@pytest.mark.parametrize("segments", READ.values(), ids=READ.keys())
def test_each_request_is_read_as_exactly_one(echo, segments):
    *first, last = segments
    answer = exchange(echo.address, *segments, *first, last + LAST)
    assert statuses(answer) == [200, 200, 200]
    one, same, end = echo.seen
    assert one == same
    assert end == ("GET", "/last", b"")
    method, path, body = one
    assert (method, path, len(body)) == ("POST", "/first", 5000)
    assert body in (BODY, SMUGGLED + bytes(5000 - len(SMUGGLED)))


PIPELINED = {
    "two by length": post(LENGTH) + post(LENGTH),
    "two upgrades": java() + java(),
    "a plain one behind an upgrade": java() + post(LENGTH),
    "an upgrade behind chunks": post(CHUNKED, body=CHUNKS) + post(*H2C, LENGTH),
}


@pytest.mark.parametrize("sent", PIPELINED.values(), ids=PIPELINED.keys())
def test_pipelined_requests_are_read_in_their_order(echo, sent):
    assert statuses(exchange(echo.address, sent + LAST)) == [200, 200, 200]
    assert echo.seen[:2] == [FIRST, FIRST]


def test_an_upgrade_without_a_body_is_answered_in_http_1_1(echo):
    ask = b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n".join(H2C) + b"\r\n\r\n"
    assert statuses(exchange(echo.address, ask, ask + LAST)) == [200, 200, 200]
    assert echo.seen[:2] == [("GET", "/first", b"")] * 2


REFUSED = {
    "length and chunks": post(LENGTH, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": post(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED),
    "two lengths": post(b"Content-Length: 0", LENGTH, body=SMUGGLED),
    "two equal lengths": post(LENGTH, LENGTH),
    "two lengths in one header": post(b"Content-Length: 0, 5000"),
    "a length with a sign": post(b"Content-Length: +5000"),
    "a negative length": post(b"Content-Length: -1"),
    "a length in hex": post(b"Content-Length: 0x1388"),
    "a length with a space inside": post(b"Content-Length: 5 000"),
    "a length that no machine holds": post(b"Content-Length: 99999999999999999999999"),
    "an empty length": post(b"Content-Length:"),
    "chunks under another name": post(b"Transfer-Encoding: xchunked", body=CHUNKS),
    "identity for chunks": post(b"Transfer-Encoding: identity", LENGTH),
    "chunks before gzip": post(b"Transfer-Encoding: chunked, gzip", body=CHUNKS),
    "two transfer encodings": post(
        CHUNKED, b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + SMUGGLED
    ),
    "a space before the colon": post(b"Transfer-Encoding : chunked", body=CHUNKS),
    "a tab before the colon": post(b"Transfer-Encoding\t: chunked", body=CHUNKS),
    "a vertical tab in the value": post(b"Transfer-Encoding: \x0bchunked", body=CHUNKS),
    "a folded line": post(b"X-Folded: a\r\n b", LENGTH),
    "a folded transfer encoding": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS),
    "a folded line before an upgrade": post(b"X-Folded: a\r\n\tb", *H2C, LENGTH),
    "bare line feeds": post(LENGTH).replace(b"\r\n", b"\n"),
    "one bare line feed": post(b"X-Lines: a\nTransfer-Encoding: chunked", body=CHUNKS),
    "a bare carriage return": post(b"X-Lines: a\rTransfer-Encoding: chunked", LENGTH),
    "a null byte": post(b"X-Null: a\0b", LENGTH),
    "a line feed for a chunk's end": post(CHUNKED, body=b"1388\n" + BODY + b"\n0\n\n" + SMUGGLED),
    "a line feed in a chunk's extension": post(
        CHUNKED, body=b"1388;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "no line end behind a chunk": post(CHUNKED, body=b"1388\r\n" + BODY + b"0\r\n\r\n"),
    "two bytes more than the chunk": post(CHUNKED, body=b"1388\r\n" + BODY + b"xx0\r\n\r\n"),
    "a chunk's size with 0x": post(CHUNKED, body=b"0x1388\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a negative chunk": post(CHUNKED, body=b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that no machine holds": post(
        CHUNKED, body=b"fffffffffffffffff\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "an upgrade with length and chunks": post(*H2C, LENGTH, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    "an upgrade with two lengths": post(*H2C, b"Content-Length: 0", LENGTH, body=SMUGGLED),
    "HTTP/2 from the first byte": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(20),
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED,
    "no host": b"POST /first HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" + BODY,
    "two hosts": post(b"Host: other", LENGTH),
    "HTTP/1.0 in chunks": post(CHUNKED, body=CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/0.9": b"GET /first\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00" + bytes(200),
}
"""A request that cannot be read with certainty."""


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_with_certainty_is_refused_and_the_connection_closed(echo, sent):
    answer = exchange(echo.address, sent, SMUGGLED)
    assert all(path != "/smuggled" for _, path, _ in echo.seen)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert statuses(answer) == [400]
    assert b"connection: close" in head.lower()
    assert b"content-type: application/problem+json" in head.lower()
    assert b'"code":"malformed_body"' in body


def lines(size: int) -> list[bytes]:
    """Header fields of `size` bytes together."""
    return [b"X-%06d: %s" % (number, b"v" * 88) for number in range(size // 100)]


HALF = b"".join(line + b"\r\n" for line in lines(HEAD_LIMIT // 2))
LONG = b"v" * (HEAD_LIMIT // 2)
TOO_LARGE = {
    "many headers": [post(*lines(HEAD_LIMIT + 200), LENGTH)],
    "a long header": [post(b"X-Long: " + b"v" * HEAD_LIMIT, LENGTH)],
    "a long target": [post(LENGTH, target=b"/" + b"a" * HEAD_LIMIT)],
    "headers without an end": [b"GET / HTTP/1.1\r\n" + HOST, *[HALF] * 4],
    "a header without an end": [b"GET / HTTP/1.1\r\nX-Long: ", *[LONG] * 4],
    "a target without an end": [b"GET /", *[LONG] * 4],
    "an upgrade's headers": [post(*lines(HEAD_LIMIT + 200), *H2C, LENGTH)],
    "a chunk's extension": [post(CHUNKED, body=b"1;"), *[LONG] * 4],
    "a trailer": [post(CHUNKED, body=b"0\r\nX-A: "), *[LONG] * 4],
    "many trailers": [post(CHUNKED, body=b"0\r\n"), *[HALF] * 4],
}
"""In segments; each is more than may come before a body or behind it."""


@pytest.mark.parametrize("segments", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_a_head_beyond_the_limit_is_431_and_the_connection_closed(echo, segments):
    answer = exchange(echo.address, *segments)
    assert statuses(answer) == [431]
    assert b'"code":"head_too_large"' in answer
    assert echo.seen == []


def test_a_head_of_nearly_the_limit_is_read(echo):
    assert statuses(exchange(echo.address, post(*lines(HEAD_LIMIT - 500), LENGTH) + LAST)) == [
        200,
        200,
    ]


def test_a_trailer_is_no_header(echo):
    body = b"5\r\nhello\r\n0\r\nX-API-Key: secret\r\nContent-Type: image/png\r\n\r\n"
    close = post(CHUNKED, b"Connection: close", body=b"")
    assert statuses(exchange(echo.address, close, body)) == [200]
    assert [name for name, _ in echo.headers] == [b"host", b"transfer-encoding", b"connection"]


def test_what_follows_a_refusal_is_read_by_nobody(echo):
    sent = [post(b"Content-Length: x"), SMUGGLED, post(LENGTH)]
    assert statuses(exchange(echo.address, *sent)) == [400]
    assert echo.seen == []


def test_a_bad_request_behind_one_that_is_being_answered_takes_nothing_from_it(echo):
    sent = post(LENGTH) + post(b"Content-Length: x") + SMUGGLED
    assert statuses(exchange(echo.address, sent)) == [200]
    assert echo.seen == [FIRST]


def test_a_connection_that_ends_in_the_middle_of_an_upgrade_hurts_nobody(echo):
    for cut in (1, 60, 250, 330, 1000):
        with socket.create_connection(echo.address) as connection:
            connection.sendall(java()[:cut])
    assert statuses(exchange(echo.address, java() + LAST)) == [200, 200]
    assert echo.seen[0] == FIRST
