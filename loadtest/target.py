"""The address of the service under load; addresses on other machines are refused by default."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from loadtest.errors import LoadtestError
from pipelines.ports import Ports


@dataclass(frozen=True, slots=True)
class Target:
    """Where a service answers, and which pipeline is asked."""

    url: str
    """Of the gateway, without a path."""
    grpc: str
    """Host and port of the gateway's gRPC."""
    pipeline: str
    api_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers (or gRPC metadata) of every request."""
        return {"x-api-key": self.api_key} if self.api_key else {}


def gateway_http() -> str:
    """URL of this machine's gateway, at the port that the environment says."""
    return f"http://127.0.0.1:{Ports().gateway_port}"


def gateway_grpc() -> str:
    """Host and port of the same gateway's gRPC."""
    return f"127.0.0.1:{Ports().gateway_grpc_port}"


def refuse_remote(*addresses: str) -> None:
    """Lets through only this machine: load on a service that others use is an attack.

    Args:
        addresses: URLs, or hosts with a port.

    Raises:
        LoadtestError: one of them can be another machine, or has no host.
    """
    for address in addresses:
        host = urlsplit(address if "://" in address else f"//{address}").hostname
        if not host:
            raise LoadtestError(f"{address}: has no host; give one as http://127.0.0.1:8080")
        if not _loopback(host):
            raise LoadtestError(
                f"{host}: is not this machine. Load it only if it is yours and nobody works with "
                "it, and give --allow-remote"
            )


def _loopback(host: str) -> bool:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ip_address(address).is_loopback for address in found)
