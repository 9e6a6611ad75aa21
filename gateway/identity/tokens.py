"""Bearer tokens (JWT) of an OAuth2 or OpenID Connect issuer: their check, and who they name."""

import hashlib
from collections.abc import Iterable
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

from gateway.errors import Code, RefusedError
from gateway.identity.jwks import Jwks
from gateway.identity.principal import Principal, Role
from gateway.identity.token_settings import ALL_PIPELINES, TokenSettings

_LONGEST = 16 * 1024
_LONGEST_NAME = 64
_REQUIRED = ["exp", "iss", "aud", "sub"]


def looks_like_token(text: str) -> bool:
    """Whether a text has the three parts of a signed token; no API key has a dot that is ours."""
    return text.count(".") == 2  # noqa: PLR2004


class Tokens:
    """The tokens that are let in: signed by the issuer's keys, for this service, and valid now."""

    def __init__(self, settings: TokenSettings, jwks: Jwks) -> None:
        self._settings = settings
        self.jwks = jwks

    async def principal(self, token: str) -> Principal:
        """Who sends a token.

        Raises:
            RefusedError: as `claims`.
        """
        return self.named(await self.claims(token, self._settings.audience))

    async def claims(self, token: str, audience: str | None) -> dict[str, Any]:
        """What a token says that the issuer has signed, for an audience.

        Raises:
            RefusedError: with `unauthorized`; with `unavailable` where the issuer's public keys
                are not known, or too old.
        """
        if len(token) > _LONGEST:
            raise _refused()
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise _refused() from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            raise _refused()
        key = await self.jwks.find(kid, algorithm)
        if not self.jwks.usable:
            raise RefusedError(
                Code.UNAVAILABLE,
                "Authorization: the public keys of the issuer of tokens cannot be read. Try again "
                "after the seconds in Retry-After.",
                reason="identity",
            )
        if key is None:
            raise _refused()
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_seconds,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except (PyJWTError, ValueError, RecursionError, OverflowError):
            raise _refused() from None
        return claims

    def named(self, claims: dict[str, Any]) -> Principal:
        """Whom claims name.

        Raises:
            RefusedError: with `unauthorized`, as the owner's name is none.
        """
        settings = self._settings
        subject = claims["sub"]
        name = _claim(claims, settings.name_claim)
        if not (isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME):
            raise _refused()
        # An issuer's subjects may be long, and are unique within the issuer alone.
        identity = hashlib.sha256(f"{settings.issuer}\n{subject}".encode()).hexdigest()[:32]
        jti = claims.get("jti", "")
        return Principal(
            id=f"token:{identity}",
            kind="token",
            # No key's owner has a colon: whoever may choose a claim becomes none of them.
            name=f"token:{name}",
            roles=frozenset(
                Role(role) for role in _mapped(claims, settings.roles_claim, settings.roles)
            ),
            pipelines=self._pipelines(claims),
            credential=jti[:_LONGEST_NAME] if isinstance(jti, str) else "",
        )

    def _pipelines(self, claims: dict[str, Any]) -> frozenset[str] | None:
        claim, mapping = self._settings.pipelines_claim, self._settings.pipelines
        if claim is None:
            return None
        found = frozenset(
            _mapped(claims, claim, mapping) if mapping else _values(_claim(claims, claim))
        )
        return None if mapping and ALL_PIPELINES in found else found


def _mapped(
    claims: dict[str, Any], claim: str, mapping: tuple[tuple[str, str], ...]
) -> Iterable[str]:
    values = _values(_claim(claims, claim))
    return (name for value, name in mapping if value in values)


def _claim(claims: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - a value of JSON
    """The claim of a name, or else the one that a path of names with dots leads to."""
    if path in claims:
        # An issuer may name a claim by a URL, which has dots.
        return claims[path]
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _values(claim: Any) -> frozenset[str]:  # noqa: ANN401 - a value of JSON
    """The words of a claim: a list of texts, or a text of words, as `scope` is."""
    if isinstance(claim, str):
        return frozenset(claim.split())
    if isinstance(claim, list):
        return frozenset(value for value in claim if isinstance(value, str))
    return frozenset()


def _refused() -> RefusedError:
    # Which check failed would help who forges more than who mistypes.
    return RefusedError(
        Code.UNAUTHORIZED,
        "Authorization: the token is not valid here, or not any more. Get a new one from its "
        "issuer, for this service.",
        reason="unauthorized",
    )
