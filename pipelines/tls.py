"""TLS settings of the gateway, and of Triton's gRPC for its server and its clients."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class TritonTls(BaseSettings):
    """PEM files, from the environment: TRITON_TLS_CA_FILE and so on; none of them: no encryption.

    Triton and those who ask it each show a certificate that the other checks (mTLS).
    """

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="TRITON_TLS_", env_ignore_empty=True, extra="ignore"
    )

    ca_file: Path | None = None
    """Certificates of whoever signed the other side's."""
    certificate_file: Path | None = None
    """This side's; of Triton, valid for `localhost`, too, where the launcher asks it."""
    key_file: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [path for path in self.files if path is not None]
        if given and len(given) < len(self.files):
            raise ValueError(
                "TRITON_TLS_CA_FILE, TRITON_TLS_CERTIFICATE_FILE and TRITON_TLS_KEY_FILE: "
                "give all or none"
            )
        for path in given:
            try:
                path.read_bytes()
            except OSError as error:
                raise ValueError(f"{path}: {error.strerror}") from None
        return self

    @property
    def files(self) -> tuple[Path | None, Path | None, Path | None]:
        """CA, certificate and key."""
        return self.ca_file, self.certificate_file, self.key_file


class GatewayTls(BaseSettings):
    """PEM files, from the environment: GATEWAY_TLS_CERTIFICATE_FILE and so on; none: no TLS.

    The launcher reads them too: it asks the gateway whether it is ready.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="GATEWAY_TLS_", env_ignore_empty=True, extra="ignore"
    )

    certificate_file: Path | None = None
    """What HTTP and gRPC show, with its chain. With the key's file, both answer over TLS alone. A
    renewed file is served without a restart."""
    key_file: Path | None = None
    """Its private key, without a password."""
    client_ca_file: Path | None = None
    """Certificates of those who sign callers' certificates; without it callers need none."""
    client_certificates: Literal["required", "optional"] = "required"
    """Whether callers without a certificate are refused, but for probes over HTTP. Where it is
    optional, gRPC asks for none: its library asks every caller or nobody."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError(
                "GATEWAY_TLS_CERTIFICATE_FILE and GATEWAY_TLS_KEY_FILE: give both or none"
            )
        if self.client_ca_file is not None and not self.on:
            raise ValueError(
                "GATEWAY_TLS_CLIENT_CA_FILE needs GATEWAY_TLS_CERTIFICATE_FILE and "
                "GATEWAY_TLS_KEY_FILE: without them nothing is encrypted"
            )
        return self

    @property
    def on(self) -> bool:
        """Whether the gateway answers over TLS."""
        return self.certificate_file is not None

    @property
    def certificates_required(self) -> bool:
        """Whether callers must have a certificate."""
        return self.client_ca_file is not None and self.client_certificates == "required"
