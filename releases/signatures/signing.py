"""Writes the signed metadata of a model repository: keys, roles, releases, rotation, renewal.

Four roles, each with an Ed25519 key: `root` says which keys are trusted (several keys, of which a
threshold signs), `targets` signs releases, `snapshot` and `timestamp` say which metadata is the
newest.
"""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from pipelines.atomic_write import write_bytes
from pipelines.release import Release
from pipelines.signatures import FOLDER, METADATA, target_path

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
ROLES = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
DAYS = {ROOT: 3 * 365, TARGETS: 3 * 365, SNAPSHOT: 90, TIMESTAMP: 90}
"""How long each role's metadata can be used for updates; what serves goes on."""
KEPT = 2
"""Releases of a pipeline and profile that stay signed: the newest, and the one to go back to."""


class SigningError(Exception):
    """What cannot be signed; the text names the input and the remedy."""


@dataclass(frozen=True)
class SignedRelease:
    """A release that is signed: the path of its document, and in which order it was signed."""

    path: str
    profile: str
    sequence: int

    @property
    def pipeline(self) -> str:
        """Its pipeline's name."""
        return self.path.partition("/")[0]

    @property
    def identity(self) -> str:
        """The release's id."""
        return Path(self.path).stem


class KeyFolder:
    """The private keys of the roles, in files that only their owner can read."""

    def __init__(self, folder: Path) -> None:
        """`folder` may be a removable disk; the root's keys are best kept apart."""
        self.folder = folder

    def create(self, name: str) -> CryptoSigner:
        """Makes a new key and writes its file.

        Raises:
            SigningError: there is one of the name, or it cannot be written.
        """
        signer = CryptoSigner.generate_ed25519()
        path = self._path(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(  # noqa: PTH123 - with a mode of its own
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as file:
                file.write(signer.private_bytes)
        except FileExistsError:
            raise SigningError(
                f"{path}: is there already: keep it, or name another folder"
            ) from None
        except OSError as error:
            raise SigningError(f"{path}: {error.strerror}") from None
        return signer

    def signers(self, role: str) -> list[CryptoSigner]:
        """The keys of a role that are in the folder: `targets.pem`, or `root-1.pem` and so on."""
        return [self._read(path) for path in sorted(self.folder.glob(f"{role}*.pem"))]

    def signer(self, name: str) -> CryptoSigner | None:
        """The key of a file, such as `root-1`; None where it is not in the folder."""
        path = self._path(name)
        return self._read(path) if path.is_file() else None

    def replace(self, name: str) -> CryptoSigner:
        """Makes a new key in place of one, whose file is kept as `<name>.revoked`."""
        path = self._path(name)
        try:
            path.rename(path.with_suffix(".revoked"))
        except FileNotFoundError:
            pass  # It may be lost: then it is revoked all the same.
        except OSError as error:
            raise SigningError(f"{path}: {error.strerror}") from None
        return self.create(name)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    @staticmethod
    def _read(path: Path) -> CryptoSigner:
        try:
            return CryptoSigner(load_pem_private_key(path.read_bytes(), None))
        except OSError as error:
            raise SigningError(f"{path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise SigningError(f"{path}: is no private key without a password (PEM)") from None


class SignedRepository:
    """The metadata of one model repository, as those who sign write it."""

    def __init__(
        self,
        repository: Path,
        keys: KeyFolder,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`now` gives the time from which expiry is counted."""
        self._folder = repository / FOLDER / METADATA
        self._keys = keys
        self._now = now

    def initialise(self, root_keys: int = 3, threshold: int = 2) -> Path:
        """Makes keys and the first metadata; returns the root's file, which sites are to trust.

        Raises:
            SigningError: there is metadata already, or keys of these names, or the threshold
                cannot be reached.
        """
        if not 1 <= threshold <= root_keys:
            raise SigningError("--threshold: needs 1 to as many as there are root keys")
        if (path := self._folder / "1.root.json").exists():
            raise SigningError(f"{path}: the repository is signed already: use --rotate")
        root = Root(consistent_snapshot=False)
        roots = [self._keys.create(f"{ROOT}-{place}") for place in range(1, root_keys + 1)]
        for signer in roots:
            root.add_key(signer.public_key, ROOT)
        root.roles[ROOT].threshold = threshold
        for role in ROLES[1:]:
            root.add_key(self._keys.create(role).public_key, role)
        self._write_root(root, roots)
        self._write_releases(Targets())
        return path

    def releases(self) -> list[SignedRelease]:
        """What is signed now, in the order of signing.

        Raises:
            SigningError: the repository is not signed yet, or its metadata cannot be read.
        """
        found = []
        for path, info in self._read(TARGETS, Targets).targets.items():
            said = info.custom or {}
            found.append(SignedRelease(path, said.get("profile", ""), said.get("sequence", 0)))
        return sorted(found, key=lambda each: each.sequence)

    def sign(
        self, release: Release, keep: int = KEPT, in_use: Collection[str] = ()
    ) -> list[SignedRelease]:
        """Signs a release; returns those of its pipeline and profile that are withdrawn by it.

        Args:
            release: whose files were checked.
            keep: how many of them stay signed, with this one.
            in_use: ids of releases that are loaded; they stay signed whatever `keep` says.

        Raises:
            SigningError: as `releases`, or a key is missing.
        """
        targets = self._read(TARGETS, Targets)
        known = self.releases()
        path = target_path(release)
        sequence = max((each.sequence for each in known), default=0) + 1
        info = TargetFile.from_data(path, release.text.encode(), ["sha256"])
        info.unrecognized_fields["custom"] = {
            "profile": release.spec.profile,
            "sequence": sequence,
        }
        targets.targets[path] = info
        profile = release.spec.profile
        of_it = [
            each
            for each in known
            if each.path != path and (each.pipeline, each.profile) == (release.spec.name, profile)
        ]
        old = of_it[: len(of_it) - (keep - 1)] if len(of_it) >= keep else []
        withdrawn = [each for each in old if each.identity not in in_use]
        for each in withdrawn:
            del targets.targets[each.path]
        self._write_releases(targets)
        return withdrawn

    def withdraw(self, pipeline: str, identity: str) -> None:
        """Ends the signature of a release.

        Raises:
            SigningError: it is not signed.
        """
        targets = self._read(TARGETS, Targets)
        for each in self.releases():
            if (each.pipeline, each.identity) == (pipeline, identity):
                del targets.targets[each.path]
                self._write_releases(targets)
                return
        raise SigningError(f"{pipeline} {identity}: is not signed")

    def renew(self) -> None:
        """Signs all but the root anew, with new dates of expiry.

        Raises:
            SigningError: as `releases`, or a key is missing.
        """
        self._write_releases(self._read(TARGETS, Targets))

    def rotate(self, role: str, key: str | None = None) -> None:
        """Gives a role a new key and revokes the former one; as many root keys sign it as must.

        Args:
            role: one of `ROLES`.
            key: of the root, the name of the key to replace, such as `root-2`.

        Raises:
            SigningError: there is no such key, or too few of the root's keys are there.
        """
        root = self._read(ROOT, Root)
        former = self._keys.signers(ROOT)
        # Those who trust the present root follow where enough of its keys sign the next one. This
        # is known before a key's file is replaced.
        self._require_threshold(root, former)
        if role == ROOT:
            if key is None:
                raise SigningError("--rotate root: name the key to replace (--key root-1)")
            root.revoke_key(self._replaced(root, key, former), ROOT)
            root.add_key(self._keys.replace(key).public_key, ROOT)
            self._write_root(root, [*former, *self._keys.signers(ROOT)])
            return
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        root.add_key(self._keys.replace(role).public_key, role)
        self._write_root(root, former)
        self._write_releases(self._read(TARGETS, Targets))

    def _replaced(self, root: Root, key: str, there: Sequence[CryptoSigner]) -> str:
        """The id of the root's key that a file has; where the file is lost, the one left over."""
        if (signer := self._keys.signer(key)) is not None:
            return signer.public_key.keyid
        known = {each.public_key.keyid for each in there}
        lost = [keyid for keyid in root.roles[ROOT].keyids if keyid not in known]
        if len(lost) != 1:
            raise SigningError(
                f"{self._keys.folder / key}.pem: missing, and {len(lost)} of the root's keys are "
                "not in the folder, so it is not known which one to revoke: put the others there"
            )
        return lost[0]

    def _require_threshold(self, root: Root, signers: Sequence[CryptoSigner]) -> None:
        trusted = set(root.roles[ROOT].keyids) & {each.public_key.keyid for each in signers}
        if len(trusted) < root.roles[ROOT].threshold:
            raise SigningError(
                f"{self._keys.folder}: has {len(trusted)} of the root's keys, and "
                f"{root.roles[ROOT].threshold} must sign: put more root-*.pem there"
            )

    def _write_root(self, root: Root, signers: Sequence[CryptoSigner]) -> None:
        """Writes the root as the next version, signed by all of these keys."""
        if (self._folder / f"{root.version}.root.json").exists():
            root.version += 1
        root.expires = self._expires(ROOT)
        metadata = Metadata(root)
        for signer in {each.public_key.keyid: each for each in signers}.values():
            metadata.sign(signer, append=True)
        self._require_threshold(root, signers)
        self._write(f"{root.version}.root.json", metadata.to_bytes())
        self._write("root.json", metadata.to_bytes())

    def _write_releases(self, targets: Targets) -> None:
        """Writes targets, snapshot and timestamp in this order, each as its next version."""
        first = not (self._folder / f"{TIMESTAMP}.json").exists()
        snapshot = Snapshot() if first else self._read(SNAPSHOT, Snapshot)
        timestamp = Timestamp() if first else self._read(TIMESTAMP, Timestamp)
        for role, part in ((TARGETS, targets), (SNAPSHOT, snapshot), (TIMESTAMP, timestamp)):
            part.expires = self._expires(role)
            if not first:
                part.version += 1
        snapshot.meta[f"{TARGETS}.json"] = MetaFile(targets.version)
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        # All are signed before one is written.
        made = [
            (f"{TARGETS}.json", self._signed(TARGETS, targets)),
            (f"{SNAPSHOT}.json", self._signed(SNAPSHOT, snapshot)),
            (f"{TIMESTAMP}.json", self._signed(TIMESTAMP, timestamp)),
        ]
        for name, content in made:
            self._write(name, content)

    def _signed(self, role: str, part: S) -> bytes:
        root = self._read(ROOT, Root)
        for signer in self._keys.signers(role):
            if signer.public_key.keyid in root.roles[role].keyids:
                metadata = Metadata(part)
                metadata.sign(signer)
                return metadata.to_bytes()
        raise SigningError(
            f"{self._keys.folder / role}.pem: missing, or its key is not the one that the root "
            "trusts: put the right key there, or give the role a new one (--rotate)"
        )

    def _read(self, role: str, kind: type[S]) -> S:
        path = self._folder / f"{role}.json"
        try:
            signed: object = Metadata[S].from_file(str(path)).signed
        except (RepositoryError, OSError) as error:
            raise SigningError(
                f"{path}: {error}: sign the repository first (--init), or copy the file again"
            ) from None
        if not isinstance(signed, kind):
            raise SigningError(f"{path}: is metadata of another role: copy the file again")
        return signed

    def _expires(self, role: str) -> datetime:
        return self._now().replace(microsecond=0) + timedelta(days=DAYS[role])

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        try:
            write_bytes(path, content)
        except OSError as error:
            raise SigningError(f"{path}: {error.strerror}") from None
