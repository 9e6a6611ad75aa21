"""Tells who sends a request by the credentials that it has, the same for HTTP and gRPC."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from sqlalchemy import Engine

from gateway.identity.api_keys import ApiKeys, unauthorized
from gateway.identity.code_flow import CodeFlow
from gateway.identity.jwks import FILE_SECONDS, URL_SECONDS, Jwks, read_file, read_url
from gateway.identity.principal import OPEN, Principal
from gateway.identity.stored_keys import KeyReader
from gateway.identity.token_settings import TokenSettings
from gateway.identity.tokens import Tokens, looks_like_token
from gateway.secret_files import SecretFiles
from gateway.settings import Settings

_START_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings to say who sends it."""

    api_key: str | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)
    """What `Authorization: Bearer` has: a token, or an API key, as Prometheus sends no other."""
    certificate: bytes | None = field(default=None, repr=False)
    """The client certificate as PEM, which the TLS layer has checked."""
    account: str | None = field(default=None, repr=False)
    """What the session of a login at the issuer has sealed; it is sent without a key or a token."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Who may come. Without keys and tokens identity is off: everyone, for everything."""

    keys: ApiKeys | None = None
    tokens: Tokens | None = None
    code_flow: CodeFlow | None = None
    """The page's login at the issuer of tokens."""

    @classmethod
    def of(cls, settings: Settings, engine: Engine) -> Self:
        """As the settings say.

        Raises:
            SecretError: the pepper, or the secret of the page at the issuer, is not there or not
                usable.
        """
        if not settings.identity_required:
            return cls()
        secrets = SecretFiles(settings.secrets_dir, made=settings.embedded_database)
        keys = ApiKeys(
            KeyReader(engine), secrets.pepper(), stale_seconds=settings.keys_stale_seconds
        )
        tokens = _tokens(settings.tokens)
        flow = None
        if tokens is not None and settings.oidc.configured:
            flow = CodeFlow(settings.oidc, tokens, settings.tokens)
        return cls(keys, tokens, flow)

    async def begin(self) -> None:
        """Reads the keys for the first time. Where that takes long, callers meanwhile get 503."""
        if self.keys is not None:
            await asyncio.wait((asyncio.create_task(self.keys.look()),), timeout=_START_SECONDS)

    async def watch(self) -> None:
        """Keeps the keys, and the public keys of tokens, up to date until it is cancelled."""
        watches = [] if self.keys is None else [self.keys.watch()]
        if self.tokens is not None:
            watches.append(self.tokens.jwks.watch())
        await asyncio.gather(*watches)

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Who sends a request. A key in `X-API-Key` goes first, a certificate last.

        Raises:
            RefusedError: with `unauthorized`; with `unavailable` where it cannot be told now.
        """
        if self.keys is None:
            return OPEN
        if credentials.api_key is not None:
            return await self.keys.principal(credentials.api_key)
        if credentials.account is not None:
            if self.code_flow is None:
                raise unauthorized()
            return self.code_flow.principal(credentials.account)
        bearer = credentials.bearer
        if bearer is None:
            if credentials.certificate is not None:
                return self.keys.certificate_principal(credentials.certificate)
            raise unauthorized()
        if self.tokens is not None and looks_like_token(bearer):
            return await self.tokens.principal(bearer)
        return await self.keys.principal(bearer)


def _tokens(settings: TokenSettings) -> Tokens | None:
    if settings.jwks is None:
        return None
    is_url = settings.jwks_is_url
    jwks = Jwks(
        partial(read_url if is_url else read_file, settings.jwks),
        frozenset(settings.algorithms),
        every_seconds=URL_SECONDS if is_url else FILE_SECONDS,
        stale_seconds=settings.jwks_stale_seconds,
    )
    return Tokens(settings, jwks)
