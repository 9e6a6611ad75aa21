"""TLS settings of Triton's gRPC, for its server and its clients."""

from pathlib import Path
from typing import Self

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

    def read(self) -> tuple[bytes, bytes, bytes] | None:
        """CA, certificate and key; None without encryption."""
        if self.ca_file is None or self.certificate_file is None or self.key_file is None:
            return None
        return (
            self.ca_file.read_bytes(),
            self.certificate_file.read_bytes(),
            self.key_file.read_bytes(),
        )
