"""Certificates for HTTPS: of the service's authority, and of the client itself."""

import os
import ssl
from dataclasses import dataclass

import httpx

CA_VARIABLE = "SECONDOPINION_CA_FILE"
CERTIFICATE_VARIABLE = "SECONDOPINION_CERTIFICATE_FILE"
KEY_VARIABLE = "SECONDOPINION_KEY_FILE"

File = str | os.PathLike[str]


@dataclass(frozen=True)
class TlsFiles:
    """PEM files; each that is not given is the environment's."""

    ca: File | None = None
    """Whom to trust, in the place of the usual authorities."""
    certificate: File | None = None
    """The client's certificate, with its chain."""
    key: File | None = None
    """Its private key, without a password; none: it is in the certificate's file."""

    def context(self) -> ssl.SSLContext | bool:
        """How to check the service, and what to show it; True where no file is given.

        Raises:
            ValueError: A file cannot be read or used, or there is a key without a certificate.
        """
        ca = self.ca or os.environ.get(CA_VARIABLE)
        certificate = self.certificate or os.environ.get(CERTIFICATE_VARIABLE)
        key = self.key or (None if self.certificate else os.environ.get(KEY_VARIABLE))
        if key and not certificate:
            raise ValueError("a key file is given without a certificate file: give both")
        if not (ca or certificate):
            return True
        try:
            context = ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()
        except (OSError, ValueError):
            raise ValueError(f"{ca}: is no PEM file of certificates that can be read") from None
        if certificate:
            try:
                # Without a function OpenSSL would ask for a password on the terminal.
                context.load_cert_chain(certificate, key, password=lambda: b"")
            except (OSError, ValueError):
                raise ValueError(
                    f"{certificate}: is no certificate in PEM with its key (without a password) "
                    "that can be read"
                ) from None
        return context
