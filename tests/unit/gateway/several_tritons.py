"""A gateway before several Tritons, as one name of several addresses stands for."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx

from gateway.app import create_app
from gateway.settings import Settings


class SeveralTritons(Settings):
    """Settings whose address of Triton is several ones."""

    addresses: str

    @property
    def triton_address(self) -> str:
        return f"ipv4:{self.addresses}"


@asynccontextmanager
async def gateway_before(ports: Iterable[int]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway in this process; the Tritons listen on these ports."""
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    # Machines that run tests are busy: whoever asks has time.
    settings = {"readiness_interval_seconds": 60, "respond_within_ms": 30_000}
    app = create_app(SeveralTritons(addresses=addresses, **settings))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client
