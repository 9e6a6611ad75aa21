"""Verifies signed releases by The Update Framework, with python-tuf's own client.

Signed is the document of a release, which names every file that is served by its SHA-256. The
metadata lies in `.signatures/` of the model repository (`python -m releases sign` writes it); the
first root that a site trusts, and what it has seen, lie outside of it.

Specification: https://theupdateframework.github.io/specification/latest/.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient import FetcherInterface, TargetFile, Updater

from pipelines.atomic_write import write_text
from pipelines.release import Release, ReleaseError, release_path

FOLDER = ".signatures"
"""In the model repository."""
METADATA = "metadata"
TIMESTAMP = Path(FOLDER, METADATA, "timestamp.json")
"""In the model repository: changes with every signing."""
_BASE = "repository:/"
_NOT_FOUND = 404
_SERVED = "served.json"
_REASONS: dict[type[Exception], str] = {
    ExpiredMetadataError: "the signatures have expired",
    UnsignedMetadataError: "signed by a key that is not trusted, or was revoked",
    BadVersionNumberError: "older signatures than those that were seen were put back",
    LengthOrHashMismatchError: "files of different signatures are mixed",
    DownloadHTTPError: "not signed, or a file of the signatures is missing",
}


class SignatureSettings(BaseSettings):
    """SERVER_SIGNATURES_ROOT and SERVER_SIGNATURES_STATE."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="SERVER_SIGNATURES_", env_ignore_empty=True, extra="ignore"
    )

    root: Path | None = None
    """The root metadata that a site trusts (`1.root.json`), from outside the model repository.
    None: releases need no signature."""
    state: Path = Field(default=Path(".run/signatures"))
    """Folder for what was seen, which survives a restart. Without it an older state of the
    repository cannot be told from a newer one."""


class SignatureRefusedError(ReleaseError):
    """A release that is not signed as a site asks for; the text names the reason and the remedy."""


class Signatures:
    """The signatures of one model repository, as one site trusts them."""

    def __init__(self, root: Path, state: Path, repository: Path) -> None:
        """`root` is the metadata file that is trusted to begin with; `state` is written to.

        Raises:
            SignatureRefusedError: the root cannot be read.
        """
        try:
            self._root = root.read_bytes()
        except OSError as error:
            raise SignatureRefusedError(
                f"{root}: {error.strerror}: it is the root of the signatures that are trusted "
                "(SERVER_SIGNATURES_ROOT)"
            ) from None
        self._state = state
        self._repository = repository
        self.problem: str | None = None
        """Why the metadata could not be used when it was last looked at, though what served goes
        on; None: it could."""

    @classmethod
    def asked_for(cls, repository: Path) -> Self | None:
        """Those that the settings ask for; None where releases need no signature.

        Raises:
            SignatureRefusedError: as the constructor.
        """
        settings = SignatureSettings()
        if settings.root is None:
            return None
        return cls(settings.root, settings.state.absolute(), repository)

    def require(self, release: Release) -> None:
        """Checks that a release is signed, by the newest metadata that was seen.

        Where the metadata cannot be used (it has expired, is an older one, or not signed by those
        who may), a release that served already goes on; another one is refused.

        Raises:
            SignatureRefusedError: it is not signed, or the metadata cannot be used.
        """
        name = f"{release.spec.name} {release.identity}"
        path = target_path(release)
        served = self._served()
        try:
            signed = self._signed([path, *served])
            self.problem = None
        except SignatureRefusedError as error:
            self.problem = str(error)
            if served.get(path) == release.sha256:
                return
            raise SignatureRefusedError(f"{name}: {error}") from None
        # What is no longer signed is forgotten, so that it cannot come back with older metadata.
        known = {each: sha256 for each, sha256 in served.items() if signed[each] is not None}
        if known != served:
            self._write(known)
        if (info := signed[path]) is None:
            raise SignatureRefusedError(
                f"{name}: is not signed, or was withdrawn: run `python -m releases sign "
                f"{release.spec.name} {release.identity}`, or let a signed release serve"
            )
        try:
            info.verify_length_and_hashes(release.text.encode())
        except LengthOrHashMismatchError:
            raise SignatureRefusedError(
                f"{name}: its document differs from what was signed: copy it again"
            ) from None
        if known.get(path) != release.sha256:
            self._write(known | {path: release.sha256})

    def _signed(self, paths: Iterable[str]) -> dict[str, TargetFile | None]:
        """What the newest metadata says of documents; None: they are not signed."""
        folder = self._repository / FOLDER / METADATA
        trusted = self._state / METADATA
        try:
            trusted.mkdir(parents=True, exist_ok=True, mode=0o700)
            updater = Updater(
                metadata_dir=str(trusted),
                metadata_base_url=_BASE,
                fetcher=_Folder(folder),
                bootstrap=self._root,
            )
            updater.refresh()
            return {path: updater.get_targetinfo(path) for path in paths}
        except OSError as error:
            raise SignatureRefusedError(f"{error.filename}: {error.strerror}") from None
        except (RepositoryError, DownloadError) as error:
            reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), "")
            raise SignatureRefusedError(
                f"{folder}: {reason or 'the metadata cannot be used'} ({error}). What served "
                "already goes on; for an update sign anew, or copy the folder again "
                "(docs/signatures.md)"
            ) from None

    def _served(self) -> dict[str, str]:
        """SHA-256 by path of the documents that were found signed, and are still listed."""
        try:
            known = json.loads((self._state / _SERVED).read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in known.items()}

    def _write(self, served: dict[str, str]) -> None:
        try:
            write_text(self._state / _SERVED, json.dumps(served, indent=1, sort_keys=True))
        except OSError as error:
            raise SignatureRefusedError(f"{error.filename}: {error.strerror}") from None


class _Folder(FetcherInterface):
    """Reads metadata from a folder in place of a web server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            content = (self._folder / url.removeprefix(_BASE)).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError(f"{url} is missing", _NOT_FOUND) from None
        return iter([content])


def target_path(release: Release) -> str:
    """The path of a release's document in a model repository, by which it is signed."""
    return release_path(release.spec.name, release.identity, Path()).as_posix()
