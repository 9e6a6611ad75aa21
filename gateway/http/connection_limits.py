"""Limits on HTTP connections: how many are open, in total and from one address, and for how long.

One look a second or more often finds the connections whose time is over: a timer for each would
cost more than reading a request.
"""

import resource
from asyncio import AbstractEventLoop
from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Protocol

import structlog

from gateway.errors import Code
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics

log = structlog.get_logger("gateway")

_TICK_SECONDS = 1.0
_TICKS = 4
"""Looks within the shortest time-out, at least."""
_NEWCOMERS = 32
"""One of so many connections is for addresses that have none open: a probe gets in."""
_REFUSED_OPEN = 128
"""Refused connections that stay open for a moment, so that their callers can read why."""
_OTHER_DESCRIPTORS = 128
"""File descriptors that are not for HTTP connections, where there are twice as many or more."""
TLS_HANDSHAKE = "tls_handshake"
"""Why a connection is refused that brings no request: a certificate, or no TLS at all."""
_REFUSALS = (
    Code.MALFORMED_BODY,
    Code.HEAD_TOO_LARGE,
    Code.TOO_SLOW,
    Code.TOO_MANY_CONNECTIONS,
    TLS_HANDSHAKE,
)
"""Why a connection is refused; each is counted from 0 on."""
_PREFIX = 8
"""Bytes of an IPv6 address that name a network: one caller has all addresses in it."""


def raise_descriptor_limit() -> int:
    """Allows this process as many file descriptors as it may allow itself; returns their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def network_of(address: str) -> bytes | str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return parsed.packed
    return parsed.ipv4_mapped.packed if parsed.ipv4_mapped else parsed.packed[:_PREFIX]


class TimedConnection(Protocol):
    """A connection, as its limits see it."""

    loop: AbstractEventLoop
    due: float
    """Time of the event loop's clock at which it is ended, in seconds."""

    def end(self) -> None:
        """Ends it, as its time is over, or gives it more."""


class ConnectionLimits:
    """Knows the open connections of one gateway."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.head_seconds = settings.head_seconds
        self.idle_seconds = settings.idle_seconds
        self.body_grace_seconds = settings.body_grace_seconds
        self.body_bytes_per_second = settings.body_bytes_per_second
        self.body_seconds = settings.deadline_seconds + settings.body_grace_seconds
        """Time that a body may take, also one whose request was answered before it came."""
        self.total = settings.connections
        self._per_address = settings.connections_per_address
        shortest = min(self.head_seconds, self.idle_seconds, self.body_grace_seconds)
        self._tick = min(_TICK_SECONDS, shortest / _TICKS)
        self._metrics = metrics
        for reason in _REFUSALS:
            metrics.connections_refused.labels(reason)
        self._open: dict[TimedConnection, bytes | str] = {}
        self._addresses: Counter[bytes | str] = Counter()
        self._refused: set[TimedConnection] = set()
        self._looking = False

    def fit(self, descriptors: int) -> None:
        """Lowers the number of connections to what a limit of file descriptors leaves room for.

        Beyond the limit the connections of gRPC and to Triton would fail, too.
        """
        room = max(descriptors - _OTHER_DESCRIPTORS, descriptors // 2)
        if room < self.total:
            log.warning(
                "fewer connections: raise the limit of open files (ulimit -n)",
                connections=room,
                configured=self.total,
            )
            self.total = room

    def admit(self, connection: TimedConnection, address: str) -> bool:
        """Takes a new connection, unless too many are open."""
        network = network_of(address)
        own = self._addresses.get(network, 0)
        room = self.total - (self.total // _NEWCOMERS if own else 0)
        admitted = len(self._open) < room and own < self._per_address
        if admitted:
            self._open[connection] = network
            self._addresses[network] += 1
            self._metrics.connections.set(len(self._open))
        else:
            self._refused.add(connection)
        if not self._looking:
            self._looking = True
            connection.loop.call_later(self._tick, self._look, connection.loop)
        return admitted

    @property
    def crowded(self) -> bool:
        """Whether so many refused connections are open that the next one is closed at once."""
        return len(self._refused) > _REFUSED_OPEN

    def release(self, connection: TimedConnection) -> None:
        """Forgets a connection, which is closed."""
        self._refused.discard(connection)
        network = self._open.pop(connection, None)
        if network is not None:
            self._addresses[network] -= 1
            if not self._addresses[network]:
                del self._addresses[network]
            self._metrics.connections.set(len(self._open))

    def count_refusal(self, reason: str) -> None:
        """A connection was refused, or ended in the middle of a request."""
        self._metrics.connections_refused.labels(reason).inc()

    def _look(self, loop: AbstractEventLoop) -> None:
        """Ends the connections whose time is over; looks again while any are open."""
        now = loop.time()
        for connection in (*self._open, *self._refused):
            if connection.due <= now:
                connection.end()
        self._looking = bool(self._open or self._refused)
        if self._looking:
            loop.call_later(self._tick, self._look, loop)
