"""Settings of bearer tokens (OAuth2, OpenID Connect), from the environment: `GATEWAY_TOKEN_*`."""

import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.identity.principal import Role

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures by a private key, which the gateway never has."""
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://")
ALL_PIPELINES = "*"


def is_safe(text: str) -> bool:
    """Whether a URL is one of https, or of http on this machine."""
    try:
        url = urlsplit(text)
        host = url.hostname
    except ValueError:
        return False
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK))


class TokenSettings(BaseSettings):
    """None of them: only API keys are let in."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="GATEWAY_TOKEN_", env_ignore_empty=True, extra="ignore"
    )

    issuer: str | None = None
    """The `iss` that tokens must have, to the letter."""
    audience: str | None = None
    """What `aud` must be or contain: this service's name at the issuer."""
    jwks: str | None = None
    """The issuer's public keys (JWKS): an https URL, http on this machine alone, or a file."""
    algorithms: Annotated[tuple[str, ...], NoDecode] = ("RS256", "ES256")
    """Signatures that are accepted, separated by commas; never those of a shared secret."""
    roles_claim: str = Field(default="roles", min_length=1)
    """Claim that roles are read from: a list, or words separated by spaces; a dot goes into an
    object, as in `realm_access.roles`."""
    roles: Annotated[tuple[tuple[str, str], ...], NoDecode] = ()
    """Roles by values of that claim, as in `so-user=predict,so-admin=operate,so-admin=audit`."""
    pipelines_claim: str | None = None
    """Claim that the pipelines are read from, in the same way; without it roles cover all."""
    pipelines: Annotated[tuple[tuple[str, str], ...], NoDecode] = ()
    """Pipelines by values of that claim, as in `derma=mhist,all=*`; without it the values are
    pipelines' names."""
    name_claim: str = Field(default="sub", min_length=1)
    """Claim that names the owner: callers of one name see each other's predictions."""
    leeway_seconds: float = Field(default=30, ge=0, le=300)
    """How far the issuer's clock may be from this one."""
    jwks_stale_seconds: float = Field(default=86_400, gt=0)
    """How old the public keys may become while the issuer cannot be asked for them."""

    @property
    def configured(self) -> bool:
        """Whether tokens are let in."""
        return self.jwks is not None

    @property
    def jwks_is_url(self) -> bool:
        """Whether the public keys are fetched, and not read from a file."""
        return self.jwks is not None and _URL.match(self.jwks) is not None

    @field_validator("algorithms", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401 - as pydantic gives it
        return _words(value) if isinstance(value, str) else value

    @field_validator("algorithms")
    @classmethod
    def _asymmetric(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not ALGORITHMS.issuperset(value):
            raise ValueError(f"choose from {', '.join(sorted(ALGORITHMS))}")
        return value

    @field_validator("roles", "pipelines", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:  # noqa: ANN401 - as pydantic gives it
        if not isinstance(value, str):
            return value
        pairs = [word.rpartition("=") for word in _words(value)]
        if not all(left and right for left, _, right in pairs):
            raise ValueError("write VALUE=NAME, separated by commas")
        return tuple((left.strip(), right.strip()) for left, _, right in pairs)

    @field_validator("roles")
    @classmethod
    def _known(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if not {role for _, role in value} <= set(Role):
            raise ValueError(f"there are the roles {', '.join(Role)}")
        return value

    @field_validator("jwks")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is None or not _URL.match(value) or is_safe(value):
            return value
        raise ValueError("who can change an answer of http could sign tokens: use https, or a file")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [self.issuer, self.audience, self.jwks, self.roles or None]
        if any(given) and not all(given):
            raise ValueError(
                "GATEWAY_TOKEN_ISSUER, GATEWAY_TOKEN_AUDIENCE, GATEWAY_TOKEN_JWKS and "
                "GATEWAY_TOKEN_ROLES: give all or none"
            )
        return self


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
