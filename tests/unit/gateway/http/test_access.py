"""Credentials that a browser sends by itself count for the gateway's own pages alone."""

import pytest
from starlette.requests import Request

from gateway.http.access import Access
from gateway.telemetry.recorder import RequestContext

pytestmark = pytest.mark.anyio

PEM = "-----BEGIN CERTIFICATE-----"


class Noting:
    """An authenticator that notes what it is asked."""

    async def authenticate(self, credentials):
        self.asked = credentials


async def certificate_of(**headers):
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "headers": sent,
        "extensions": {"tls": {"client_cert_chain": [PEM]}},
        "state": {"context": RequestContext("id")},
    }
    authenticator = Noting()
    await Access(authenticator)(Request(scope), None, None)
    return authenticator.asked.certificate


@pytest.mark.parametrize("site", ["same-origin", "none", None])
async def test_a_certificate_counts_for_programs_and_for_the_page(site):
    headers = {} if site is None else {"sec_fetch_site": site}
    assert await certificate_of(**headers) == PEM.encode()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_certificate_does_not_count_for_a_page_of_another_site(site):
    assert await certificate_of(sec_fetch_site=site) is None
