"""Client certificates as an identity: the names by which a key's row may mean one.

The TLS layer has checked who signed it, and that its owner has its private key.
"""

import re
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

_KINDS = ("sha256", "uri", "dns", "email", "subject")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255


class CertificateError(ValueError):
    """A certificate that cannot be named so; the text names the remedy."""


def certificate_name(text: str) -> str:
    """The name of a certificate as the operator gives it: one of `names_of`, or a PEM file.

    Raises:
        CertificateError: it is neither.
    """
    kind, _, value = text.partition(":")
    if kind in _KINDS and value:
        name = f"sha256:{value.replace(':', '').lower()}" if kind == "sha256" else text
        if kind == "sha256" and not _SHA256.fullmatch(name.removeprefix("sha256:")):
            raise CertificateError("certificate: after sha256: write 64 hexadecimal digits")
        if len(name) > _LONGEST:
            raise CertificateError(f"certificate: its name has more than {_LONGEST} characters")
        return name
    try:
        return names_of(Path(text).read_bytes())[0]
    except (OSError, ValueError):
        raise CertificateError(
            f"certificate: give a PEM file, or its name as one of {', '.join(_KINDS)}, e.g. "
            "uri:spiffe://site/ward or dns:ward.example"
        ) from None


@lru_cache(maxsize=1024)
def names_of(pem: bytes) -> tuple[str, ...]:
    """All names of a certificate: its SHA-256, its alternative names, its subject (RFC 4514).

    Raises:
        ValueError: it is no certificate.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    names = [f"sha256:{certificate.fingerprint(SHA256()).hex()}"]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        pass
    else:
        others = extension.value
        names += [
            f"uri:{uri}" for uri in others.get_values_for_type(x509.UniformResourceIdentifier)
        ]
        names += [f"dns:{name}" for name in others.get_values_for_type(x509.DNSName)]
        names += [f"email:{name}" for name in others.get_values_for_type(x509.RFC822Name)]
    if certificate.subject.rdns:
        names.append(f"subject:{certificate.subject.rfc4514_string()}")
    return tuple(names)
