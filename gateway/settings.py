"""The gateway's settings, from the environment: `GATEWAY_*` and the ports."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from database.settings import DatabaseSettings
from gateway.identity.budgets import Budget
from gateway.identity.oidc_settings import OidcSettings
from gateway.identity.rate_limits import Rate
from gateway.identity.token_settings import TokenSettings
from pipelines.ports import Ports
from pipelines.protocol import DEFAULT_PIPELINE
from pipelines.tls import GatewayTls, TritonTls

MIB = 1024 * 1024
AROUND_IMAGES = 64 * 1024
"""Bytes of a message over gRPC besides its images."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_ORIGIN = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]+)?")


def _rate(text: str) -> str:
    Rate.parse(text)
    return text


def _budget(text: str) -> str:
    Budget.parse(text)
    return text


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Settings(DatabaseSettings):
    """All settings of one gateway. Unsafe combinations are refused."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="GATEWAY_", env_ignore_empty=True, extra="ignore"
    )

    name: str = Field(default="gateway", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Of this gateway, in the audit log."""
    host: str = "127.0.0.1"
    """Address to bind."""
    ports: Ports = Field(default_factory=Ports)
    """GATEWAY_PORT and GATEWAY_GRPC_PORT to answer on, TRITON_GRPC_PORT to call."""
    triton_host: str = "127.0.0.1"
    """A name with several addresses means several Tritons, which are asked in turns."""
    spare_triton: str | None = Field(default=None, pattern=r"^\S+:\d+$")
    """Host and port of another Triton, e.g. on CPUs, for what the first has no memory left for."""
    triton_tls: TritonTls = Field(default_factory=TritonTls)
    """TRITON_TLS_CA_FILE, TRITON_TLS_CERTIFICATE_FILE, TRITON_TLS_KEY_FILE."""
    default_pipeline: str = DEFAULT_PIPELINE
    """The pipeline of routes that name none."""
    auth: Literal["required", "off"] | None = None
    """Whether callers must say who they are, by an API key or a token. By default they must where
    other machines reach the gateway; there it cannot be off."""
    tokens: TokenSettings = Field(default_factory=TokenSettings)
    """GATEWAY_TOKEN_*."""
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    """GATEWAY_OIDC_*."""
    keys_stale_seconds: float = Field(default=900, gt=0)
    """How long the known API keys go on while the database cannot be read; then nobody is let in.
    Until it can be read again a key that was revoked meanwhile is one that goes on."""
    secrets_dir: Path = Path(".run/secrets")
    """Folder of the files `pepper`, `audit_signing_key` and `image_key`; made when they are first
    needed where the database is a file of this machine."""
    model_repository: Path | None = None
    """Triton's, where this process reaches it: releases are then staged over the API, too. The
    server sets it for its own gateway."""
    tls: GatewayTls = Field(default_factory=GatewayTls)
    """GATEWAY_TLS_CERTIFICATE_FILE and so on."""
    default_rate: Annotated[str, AfterValidator(_rate)] | None = None
    """Rate of callers whose credentials name none, e.g. `60/min`; none: no limit."""
    default_budget: Annotated[str, AfterValidator(_budget)] | None = None
    """Budget of callers whose credentials name none, e.g. `20EUR/month`; none: no limit."""
    rates: Literal["auto", "memory", "database"] = "auto"
    """Where callers' images are counted: by each gateway, or in the database by all; `auto` is in
    the database where that is a server's."""
    kept_images: str = ".run/kept-images"
    """Folder of kept images, or `s3://BUCKET/PREFIX`, whose credentials and endpoint are those of
    the environment's `AWS_*`. Only pipelines whose YAML says `keep_images` keep any."""
    session_seconds: int = Field(default=8 * 3600, ge=60, le=30 * 24 * 3600)
    """How long a login on the page lasts."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins, separated by commas, whose pages may ask from a browser; `*` is any; none: CORS is
    off. A browser's cookies and certificates are never let in."""
    deadline_seconds: float = Field(default=60, gt=0, le=3600)
    """Time that one request may take, from its first byte on."""
    connections: int = Field(default=2048, ge=1)
    """HTTP connections that may be open at a time; more are refused before a byte is read."""
    connections_per_address: int = Field(default=512, ge=1)
    """Of those, from one IPv4 address or one IPv6 network of 64 bits. Behind a proxy all callers
    have its address: then set it as high as the other."""
    head_seconds: float = Field(default=15, gt=0, le=3600)
    """Time from the first byte of a request to the end of its headers."""
    idle_seconds: float = Field(default=75, gt=0, le=3600)
    """How long a connection stays open without a request, or while its caller reads nothing of an
    answer; longer than a proxy in front keeps it."""
    body_grace_seconds: float = Field(default=15, gt=0, le=3600)
    """How long a body may pause; its bytes earn the next pause."""
    body_bytes_per_second: float = Field(default=500, gt=0)
    """How fast a body must come: a second of pause is earned by so many bytes."""
    max_in_flight: int = Field(default=128, ge=1)
    """Requests with a whole body at a time; more are refused."""
    max_in_flight_bytes: int = Field(default=512 * MIB, ge=1)
    """Sum of the bodies of requests, as sent or inflated, from their first byte on; in memory they
    take up to three times that."""
    caller_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the two that one caller may take: who has credentials, or without any an address.
    1 where all come through one address."""
    max_explanations: int = Field(default=8, ge=1)
    """Requests for explanations (`explain`) among those in flight; more are refused. A caller may
    take `caller_share` of them, too. Beside the other images' passes each is computed for
    seconds."""
    max_wait_seconds: float = Field(default=30, gt=0, le=3600)
    """Longest time within which a caller may ask to be answered (`X-Respond-Within-Ms`), and the
    time of a batch that asks for none. Requests that, by the rate of the last answers, would not
    be answered in their time, or by their deadline, are refused."""
    respond_within_ms: int | None = Field(default=None, ge=1, le=3_600_000)
    """Time within which requests that ask for none are answered, in place of what each pipeline
    promises (`serving.respond_within_ms`)."""
    batch_files: int = Field(default=100, ge=1, le=10_000)
    """Images in one batch."""
    batch_bytes: int = Field(default=128 * MIB, ge=1)
    """Body of one batch."""
    grpc_message_bytes: int = Field(default=32 * MIB, ge=1)
    """One message over gRPC, also when it is inflated. As gRPC does not say its size before it is
    whole, as much is reserved for each that is being received: at most a half more than
    `max_in_flight_bytes` in all."""
    grpc_message_seconds: float = Field(default=10, gt=0, le=3600)
    """Time that a message over gRPC may take to come, and that a call may wait before."""
    batch_concurrency: int = Field(default=16, ge=1)
    """Images of one batch that are in Triton at a time."""
    shadow_below: int = Field(default=1, ge=1)
    """Copies for a candidate are sent only while fewer requests than this are in flight."""
    shadow_time_share: float = Field(default=0.01, gt=0, le=1)
    """Share of time for which a copy for a candidate may be in Triton. Where candidate and service
    share processors, about that share of requests meets one."""
    watch_rollback: Annotated[tuple[str, ...], NoDecode] = ()
    """Pipelines, separated by commas, or `*`, whose promoted release is rolled back where it is
    worse than the former one; of others it is only told. The same for all gateways."""
    triton_calls: int = Field(default=4, ge=1)
    """Calls to Triton under way for one pipeline and choice of parameters; images that come while
    all are taken share the next ones."""
    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """A collector of traces that takes OTLP over HTTP, as `http://collector:4318`; without it there
    are none."""
    trace_share: float = Field(default=1, ge=0, le=1)
    """Share of requests that are traced, where their callers' `traceparent` does not say."""
    price_cpu_hour: float | None = Field(default=None, ge=0, le=1e6)
    """What an hour of one core costs; without it usage has no cost."""
    price_gpu_hour: float | None = Field(default=None, ge=0, le=1e6)
    """What an hour of one GPU costs."""
    price_currency: str = Field(default="EUR", pattern=r"^[A-Za-z]{1,16}$")
    """The word for what prices and budgets are in; nothing is converted."""
    capacity_cpu_cores: float | None = Field(default=None, gt=0, le=1e6)
    """Cores that stand ready for the service, in all its replicas: what of them computes nothing is
    shown as idle."""
    capacity_gpus: float | None = Field(default=None, gt=0, le=1e6)
    """GPUs likewise."""
    readiness_interval_seconds: float = Field(default=5, gt=0)
    """How long a successful inference counts as proof that its pipeline is ready."""
    server_readiness_url: str | None = Field(default=None, pattern=r"^http://\S+$")
    """The server's own `/readyz`, as `http://server:8003/readyz`: ours waits until it has said 200
    once, so until every pipeline that is to be served was loaded or refused. `python -m server
    --gateway` sets it. Not needed where Triton is reached only once it is ready, as a Service of
    Kubernetes sees to."""
    idempotency_seconds: float = Field(default=86_400, gt=0)
    """How long an answer is kept for its idempotency key."""
    public_descriptions: bool = False
    """Whether callers without a key, too, may read /docs and /openapi.json and ask whether a
    pipeline of a name is ready. Matters where callers must say who they are."""
    grpc_reflection: bool = False
    """Whether gRPC tells any caller the protocol's methods and messages, as grpcurl asks."""
    shutdown_seconds: int = Field(default=30, ge=0)
    """Time that requests in flight have to finish after SIGTERM."""

    @property
    def rates_shared(self) -> bool:
        """Whether callers' images are counted in the database."""
        if self.rates == "auto":
            return not self.embedded_database
        return self.rates == "database"

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches the gateway."""
        return is_loopback(self.host)

    @property
    def identity_required(self) -> bool:
        """Whether callers must say who they are."""
        return not self.loopback if self.auth is None else self.auth == "required"

    @property
    def triton_address(self) -> str:
        """Host and port of Triton's gRPC service."""
        return _address(self.triton_host, self.ports.triton_grpc_port)

    @property
    def grpc_address(self) -> str:
        """Host and port of the gateway's gRPC."""
        return _address(self.host, self.ports.gateway_grpc_port)

    @property
    def largest_message(self) -> int:
        """Bytes of the largest message over gRPC."""
        return min(self.grpc_message_bytes, self.max_in_flight_bytes) + AROUND_IMAGES

    @property
    def receptions(self) -> int:
        """Messages over gRPC that are received at a time: half of `max_in_flight_bytes`."""
        return max(2, self.max_in_flight_bytes // 2 // self.grpc_message_bytes)

    @field_validator("cors_origins", "watch_rollback", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:  # noqa: ANN401 - as pydantic gives it
        if not isinstance(value, str):
            return value
        return tuple(word.strip() for word in value.split(",") if word.strip())

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != ("*",) and not all(_ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("list origins as https://host or https://host:port, or say * alone")
        return value

    @field_validator("watch_rollback")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != ("*",) and not all(_NAME.fullmatch(name) for name in value):
            raise ValueError("list names of pipelines, or say * alone")
        return value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if not self.loopback and not self.identity_required:
            raise ValueError(
                f"GATEWAY_HOST={self.host} is reachable from other machines, where "
                "GATEWAY_AUTH=off would let everyone in. Make keys with "
                "`python -m gateway keys create` and leave GATEWAY_AUTH out, or bind to 127.0.0.1"
            )
        if self.tokens.configured and not self.identity_required:
            raise ValueError(
                "GATEWAY_TOKEN_* are set, and nobody would have to send a token. Set "
                "GATEWAY_AUTH=required, or remove them"
            )
        if self.oidc.configured and not self.tokens.configured:
            raise ValueError(
                "GATEWAY_OIDC_* are set: add GATEWAY_TOKEN_ISSUER, GATEWAY_TOKEN_AUDIENCE, "
                "GATEWAY_TOKEN_JWKS and GATEWAY_TOKEN_ROLES, which say what the issuer's tokens "
                "mean"
            )
        if self.batch_bytes > self.max_in_flight_bytes:
            raise ValueError(
                "GATEWAY_BATCH_BYTES is larger than GATEWAY_MAX_IN_FLIGHT_BYTES: "
                "the largest batch could never be admitted. Change one of them"
            )
        return self
