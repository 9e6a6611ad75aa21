"""Certificates made for the tests, by authorities that nobody else trusts."""

from dataclasses import dataclass, field
from pathlib import Path

import trustme

from pipelines.tls import GatewayTls


@dataclass
class Site:
    """A folder with a server's certificate, its key, and an authority for callers."""

    folder: Path
    server: trustme.CA = field(default_factory=trustme.CA)
    callers: trustme.CA = field(default_factory=trustme.CA)

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        return self.folder / "tls.key"

    @property
    def client_ca(self) -> Path:
        return self.folder / "client-ca.crt"

    @property
    def trusted(self) -> Path:
        """What a caller trusts."""
        path = self.folder / "ca.crt"
        path.write_bytes(self.server.cert_pem.bytes())
        return path

    def issue(self, **more) -> trustme.LeafCert:
        """Writes a new certificate of the server and its key, each as a whole."""
        leaf = self.server.issue_cert("localhost", "127.0.0.1", **more)
        chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
        for path, content in ((self.key, leaf.private_key_pem.bytes()), (self.certificate, chain)):
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").replace(path)
        return leaf

    def trust_callers(self) -> None:
        """Writes the authority of callers."""
        self.client_ca.write_bytes(self.callers.cert_pem.bytes())

    def caller(self, name: str, *others: str) -> tuple[Path, Path]:
        """A caller's certificate, by one or several names, and its key."""
        leaf = self.callers.issue_cert(name, *others, common_name=name)
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
        key.write_bytes(leaf.private_key_pem.bytes())
        return certificate, key

    def settings(self, **more) -> GatewayTls:
        """The settings of a gateway that shows the certificate."""
        return GatewayTls(certificate_file=self.certificate, key_file=self.key, **more)
