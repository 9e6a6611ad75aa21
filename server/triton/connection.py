"""The address and the client of Triton's gRPC."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import tritonclient.grpc as triton

from pipelines.tls import TritonTls

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Connection:
    """An address, and the certificates to connect with."""

    address: str
    tls: TritonTls

    @classmethod
    def to(cls, host: str, port: int, tls: TritonTls) -> "Connection":
        """To a server that is bound to `host`, which may stand for all addresses."""
        reached = reached_at(host)
        # A certificate names the host, not its address.
        name = "localhost" if tls.ca_file and reached == LOOPBACK else reached
        return cls(f"[{name}]:{port}" if ":" in name else f"{name}:{port}", tls)

    def client(self) -> Any:  # noqa: ANN401 - tritonclient has no types
        """A client, to be closed by its context."""
        authority, certificate, key = map(_text, self.tls.files)
        return triton.InferenceServerClient(
            self.address,
            ssl=authority is not None,
            root_certificates=authority,
            private_key=key,
            certificate_chain=certificate,
        )


def reached_at(host: str) -> str:
    """Where a server that is bound to `host` is reached from this machine."""
    try:
        return LOOPBACK if ip_address(host).is_unspecified else host
    except ValueError:
        return host


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
