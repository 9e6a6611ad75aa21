"""The ports of the service; an environment variable sets each."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Ports(BaseSettings):
    """TCP ports, from the environment: GATEWAY_PORT, TRITON_HTTP_PORT and so on."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    gateway_port: int = Field(default=8080, ge=1, le=65535)
    gateway_grpc_port: int = Field(default=8011, ge=1, le=65535)
    triton_http_port: int = Field(default=8000, ge=1, le=65535)
    triton_grpc_port: int = Field(default=8001, ge=1, le=65535)
    triton_metrics_port: int = Field(default=8002, ge=1, le=65535)
    server_metrics_port: int = Field(default=8003, ge=1, le=65535)
    """The launcher's own metrics: restarts of tritonserver and of its backend processes."""
