"""The Tritons behind one name, each with a channel of its own, for calls that one has refused."""

import asyncio
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

_LIST = "ipv4:"
"""Begins a target of gRPC that lists addresses."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One Triton."""

    target: str
    """Its address, as gRPC writes it."""
    host: str
    """The name that its certificate is for; empty where only addresses are known."""


class Replicas:
    """Channels to each Triton of a name. They are made when they are needed, and connect then."""

    def __init__(
        self,
        address: str,
        connect: Callable[[Replica], grpc.aio.Channel],
        retire: Callable[[grpc.aio.Channel], None],
        look_up_seconds: float,
    ) -> None:
        """Looks the name up later.

        Args:
            address: host and port, or a list of addresses as gRPC writes it.
            connect: makes a channel.
            retire: closes a channel once its calls are over.
            look_up_seconds: how long the addresses of a name are kept.
        """
        self._address, self._connect, self._retire = address, connect, retire
        self._look_up_seconds = look_up_seconds
        self._known: list[Replica] = []
        self._channels: dict[Replica, grpc.aio.Channel] = {}
        self._looked_up = float("-inf")
        self._lock = asyncio.Lock()

    async def others(self) -> list[Replica]:
        """Each Triton, in a random order; none where there are not several."""
        async with self._lock:
            if time.monotonic() - self._looked_up > self._look_up_seconds:
                await self._look_up()
        return random.sample(self._known, len(self._known)) if len(self._known) > 1 else []

    def channel(self, replica: Replica) -> grpc.aio.Channel:
        """One that takes calls now: what others hold may be closing."""
        if replica not in self._channels:
            self._channels[replica] = self._connect(replica)
        return self._channels[replica]

    def give_up(self) -> list[grpc.aio.Channel]:
        """All channels, for the caller to close; the next ones connect anew."""
        channels = list(self._channels.values())
        self._channels.clear()
        return channels

    async def _look_up(self) -> None:
        try:
            self._known = await replicas_of(self._address)
        except OSError:
            # Those that were known may still be there; and who waits would wait once more.
            return
        finally:
            self._looked_up = time.monotonic()
        for gone in self._channels.keys() - set(self._known):
            self._retire(self._channels.pop(gone))


async def replicas_of(address: str) -> list[Replica]:
    """All Tritons that an address stands for.

    Args:
        address: host and port, or a list of addresses as gRPC writes it.

    Raises:
        OSError: the name is not known, or nobody can be asked about it.
    """
    if address.startswith(_LIST):
        return [Replica(f"{_LIST}{each}", "") for each in address.removeprefix(_LIST).split(",")]
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = sorted({(family, place[0]) for family, _, _, _, place in found})
    return [
        Replica(f"ipv6:[{ip}]:{port}" if family == socket.AF_INET6 else f"ipv4:{ip}:{port}", host)
        for family, ip in addresses
    ]
