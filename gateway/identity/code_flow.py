"""The page's login at an OpenID Connect issuer: authorization code, PKCE, state and nonce."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request

import structlog

from gateway.errors import Code, RefusedError
from gateway.identity.issuer_http import IssuerError, ask
from gateway.identity.oidc_settings import OidcSettings
from gateway.identity.principal import Principal, Role
from gateway.identity.token_settings import TokenSettings
from gateway.identity.tokens import Tokens
from gateway.secret_files import SecretError

log = structlog.get_logger("gateway")

CALLBACK = "api/v1/session/oidc/callback"
"""Where the issuer sends browsers back to, below the page's address."""
_AT_A_TIME = 8
"""Exchanges that are under way: more would keep threads of the gateway waiting for the issuer."""
_AWAY = {"server_error", "temporarily_unavailable"}
"""What an issuer says where it is not the user who may not (RFC 6749, 4.1.2.1)."""
_LONGEST = 8192
"""Characters of a code or state that is looked at."""
_BYTES = 32


class LoginFailure(StrEnum):
    """Why a login at the issuer came to nothing; the page has words for each."""

    DENIED = "denied"
    """The issuer, or the user, said no."""
    STALE = "stale"
    """The browser did not begin this login, or too long ago."""
    REFUSED = "refused"
    """The issuer refused the code, or its token is not one for this page."""
    NO_ROLE = "no_role"
    """The user may do nothing here."""
    TOO_MANY = "too_many"
    """The user covers more pipelines than a cookie has room for."""
    UNAVAILABLE = "unavailable"
    """The issuer cannot be asked now."""


class LoginError(Exception):
    """A login that came to nothing."""

    def __init__(self, failure: LoginFailure) -> None:
        """Notes why."""
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Pending:
    """A login that has begun: what its browser keeps, sealed, until it comes back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Pending":
        """One that nobody can guess."""
        return cls(*(secrets.token_urlsafe(_BYTES) for _ in range(3)))

    @classmethod
    def parse(cls, text: str) -> "Pending":
        """The text of `as_text`, which was sealed."""
        return cls(**json.loads(text))

    def as_text(self) -> str:
        """All of it, to be sealed."""
        return json.dumps({"state": self.state, "nonce": self.nonce, "verifier": self.verifier})


class CodeFlow:
    """Sends browsers to the issuer, and finds out who comes back."""

    def __init__(self, settings: OidcSettings, tokens: Tokens, claims: TokenSettings) -> None:
        """Takes the settings, and what checks tokens of the issuer.

        Raises:
            SecretError: the client's secret cannot be used.
        """
        self._settings = settings
        self._tokens = tokens
        self._issuer = claims.issuer
        said = f"{settings.model_dump_json()}\n{claims.model_dump_json()}"
        self._mark = hashlib.sha256(said.encode()).hexdigest()[:16]
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._secret()

    @property
    def secure(self) -> bool:
        """Whether browsers come over HTTPS."""
        return urlsplit(self._page).scheme == "https"

    @property
    def logout_url(self) -> str | None:
        """Where the issuer's own session ends, and from where browsers come back."""
        if self._settings.logout_url is None:
            return None
        back = {"client_id": self._settings.client_id, "post_logout_redirect_uri": self._page}
        return _with_query(self._settings.logout_url, back)

    def address(self, pending: Pending) -> str:
        """Where a browser goes to log in."""
        digest = hashlib.sha256(pending.verifier.encode("ascii")).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._page + CALLBACK,
            "scope": self._settings.scope,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return _with_query(self._settings.authorization_url or "", query)

    async def finish(self, pending: Pending, returned: Mapping[str, str]) -> Principal:
        """Who came back from the issuer.

        Args:
            pending: what the browser kept.
            returned: the parameters of the address that it came back to.

        Raises:
            LoginError: why it is nobody.
        """
        state, code = returned.get("state", ""), returned.get("code", "")
        if not hmac.compare_digest(state[:_LONGEST].encode(), pending.state.encode()):
            raise LoginError(LoginFailure.STALE)
        # Of another issuer it would be another one's code (RFC 9207).
        if returned.get("iss", self._issuer) != self._issuer:
            raise LoginError(LoginFailure.REFUSED)
        if error := returned.get("error"):
            raise LoginError(LoginFailure.UNAVAILABLE if error in _AWAY else LoginFailure.DENIED)
        if not code or len(code) > _LONGEST:
            raise LoginError(LoginFailure.REFUSED)
        principal = await self._who(await self._id_token(code, pending), pending)
        if not principal.roles:
            raise LoginError(LoginFailure.NO_ROLE)
        return principal

    def sealable(self, principal: Principal) -> str:
        """A principal as text, with a mark of the settings that made it."""
        pipelines = None if principal.pipelines is None else sorted(principal.pipelines)
        facts = [
            self._mark,
            principal.id,
            principal.name,
            sorted(principal.roles),
            pipelines,
            principal.credential,
        ]
        return json.dumps(facts, separators=(",", ":"), ensure_ascii=False)

    def principal(self, sealed: str) -> Principal:
        """The principal of such a text.

        Raises:
            RefusedError: with `unauthorized`, as other settings made it.
        """
        mark, identity, name, roles, pipelines, credential = json.loads(sealed)
        if mark != self._mark:
            raise RefusedError(
                Code.UNAUTHORIZED,
                "session: the gateway's settings were changed. Log in again.",
                reason="unauthorized",
            )
        return Principal(
            id=identity,
            kind="token",
            name=name,
            roles=frozenset(map(Role, roles)),
            pipelines=None if pipelines is None else frozenset(pipelines),
            credential=credential,
        )

    @property
    def _page(self) -> str:
        return self._settings.page_url or ""

    def _secret(self) -> str | None:
        path = self._settings.client_secret_file
        if path is None:
            return None
        try:
            secret = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no ASCII"
            raise SecretError(f"{path}: it cannot be read ({reason})") from None
        if not secret:
            raise SecretError(f"{path}: it is empty. Put the client's secret there")
        return secret

    async def _id_token(self, code: str, pending: Pending) -> str:
        """Exchanges a code for the token that says who it is."""
        if self._places.locked():
            raise LoginError(LoginFailure.UNAVAILABLE)
        async with self._places:
            try:
                answer = await asyncio.to_thread(self._exchange, code, pending.verifier)
                token = json.loads(answer)["id_token"]
            except IssuerError as error:
                log.warning("login at the issuer failed", reason=str(error))
                failure = LoginFailure.REFUSED if error.refused else LoginFailure.UNAVAILABLE
                raise LoginError(failure) from None
            except SecretError as error:
                log.error("login at the issuer failed", reason=str(error))  # noqa: TRY400
                raise LoginError(LoginFailure.UNAVAILABLE) from None
            except (ValueError, TypeError, KeyError, RecursionError):
                log.warning("login at the issuer failed", reason="no ID token in its answer")
                raise LoginError(LoginFailure.REFUSED) from None
        if not isinstance(token, str):
            raise LoginError(LoginFailure.REFUSED)
        return token

    def _exchange(self, code: str, verifier: str) -> bytes:
        client, secret = self._settings.client_id or "", self._secret()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._page + CALLBACK,
            "code_verifier": verifier,
            "client_id": client,
        }
        headers = {"Accept": "application/json"}
        if secret is not None:
            # As RFC 6749, 2.3.1: both are encoded as in a form.
            pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        body = urlencode(fields).encode("ascii")
        return ask(Request(self._settings.token_url or "", body, headers, method="POST"))  # noqa: S310

    async def _who(self, token: str, pending: Pending) -> Principal:
        try:
            claims = await self._tokens.claims(token, self._settings.client_id)
            self._check(claims, pending)
            return self._tokens.named(claims)
        except RefusedError as refusal:
            away = refusal.code is Code.UNAVAILABLE
            log.warning("login at the issuer failed", reason="keys" if away else "ID token")
            failure = LoginFailure.UNAVAILABLE if away else LoginFailure.REFUSED
            raise LoginError(failure) from None

    def _check(self, claims: dict[str, Any], pending: Pending) -> None:
        """What an ID token needs beyond what every token does (OpenID Connect Core, 3.1.3.7)."""
        nonce, party = claims.get("nonce"), claims.get("azp")
        ours = isinstance(nonce, str) and hmac.compare_digest(
            nonce.encode("utf-8", "surrogatepass"), pending.nonce.encode()
        )
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        for_us = party == self._settings.client_id or (party is None and not several)
        if not (ours and for_us and "iat" in claims):
            raise LoginError(LoginFailure.REFUSED)


def _with_query(url: str, query: Mapping[str, str | None]) -> str:
    """A URL with parameters; those that it has already stay."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"
