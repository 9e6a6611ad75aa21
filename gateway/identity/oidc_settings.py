"""Settings of the page's login at an OpenID Connect issuer: `GATEWAY_OIDC_*`."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.identity.token_settings import is_safe


class OidcSettings(BaseSettings):
    """None of them: the page takes API keys alone.

    What the issuer's tokens mean, and its public keys, are GATEWAY_TOKEN_*.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="GATEWAY_OIDC_", env_ignore_empty=True, extra="ignore"
    )

    client_id: str | None = None
    """The page's name at the issuer, which ID tokens have as their audience."""
    client_secret_file: Path | None = None
    """A file with the secret of that client; none: the issuer knows it as a public one."""
    authorization_url: str | None = None
    """Where the issuer's login is (`authorization_endpoint`)."""
    token_url: str | None = None
    """Where the gateway exchanges a code for tokens (`token_endpoint`)."""
    logout_url: str | None = None
    """Where the issuer's own session ends (`end_session_endpoint`); none: it goes on."""
    page_url: str | None = None
    """The page's address as browsers have it, such as `https://second-opinion.example/`."""
    scope: str = Field(default="openid", pattern=r"^[\x21\x23-\x5b\x5d-\x7e ]+$")
    """What is asked for, separated by spaces; `openid` among them."""

    @property
    def configured(self) -> bool:
        """Whether the page offers it."""
        return self.client_id is not None

    @field_validator("authorization_url", "token_url", "logout_url", "page_url")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is None or is_safe(value):
            return value
        raise ValueError("who can change an answer of http could log in as anybody: use https")

    @field_validator("page_url")
    @classmethod
    def _folder(cls, value: str | None) -> str | None:
        if value is not None and ("?" in value or "#" in value):
            raise ValueError("give the page's address alone, without ? and #")
        return value and f"{value.rstrip('/')}/"

    @field_validator("scope")
    @classmethod
    def _openid(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("add openid: without it the issuer says nobody's name")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = [self.client_id, self.authorization_url, self.token_url, self.page_url]
        if any([*needed, self.client_secret_file, self.logout_url]) and not all(needed):
            raise ValueError(
                "GATEWAY_OIDC_CLIENT_ID, GATEWAY_OIDC_AUTHORIZATION_URL, GATEWAY_OIDC_TOKEN_URL "
                "and GATEWAY_OIDC_PAGE_URL: give all or none"
            )
        return self
