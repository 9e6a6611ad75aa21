"""Compares the files of a model repository with those that a release names."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import protocol
from pipelines.manifest import FILENAME, Manifest, sha256_of
from pipelines.release import Release, ReleaseError
from pipelines.typicality import reference_path

if TYPE_CHECKING:
    from pipelines.signatures import Signatures


class ReleaseFiles:
    """The files of one repository.

    A file is hashed once. Its size, inode and times (the change time, which no program can set)
    say later whether it may have changed; only then it is hashed again.
    """

    def __init__(self, repository: Path, signatures: "Signatures | None" = None) -> None:
        """With `signatures` a release must also be signed."""
        self._repository = repository
        self._signatures = signatures
        self._hashed: dict[Path, tuple[tuple[int, ...], str]] = {}

    def verify(self, release: Release) -> None:
        """Checks every file of a release: there, unchanged, and no other beside it.

        Raises:
            ReleaseError: with the name of the first file that differs.
        """
        self.verify_members(release)
        spec = release.spec
        read = {config_path(self._repository, model, spec.profile) for model in spec.models}
        for name, sha256 in release.configs.items():
            self._require(Path(name), sha256, release, "run `make configs`")
        for path in sorted(read - set(map(Path, release.configs))):
            raise ReleaseError(
                f"{self._repository / path}: Triton would read it, but release "
                f"{release.identity} does not name it: remove it, or run `make configs`"
            )
        members = {protocol.member_model(spec.name, member) for member in spec.members}
        for model in sorted(set(spec.models) - members):
            # Triton loads no model without a version, also of a step that has no artefact.
            if not (folder := self._repository / model / "1").is_dir():
                raise ReleaseError(f"{folder}: missing: run `make configs`")

    def verify_members(self, release: Release) -> None:
        """Checks the signature, the files of the members' versions, and the typicality's reference.

        Raises:
            ReleaseError: with the name of the first file that differs.
        """
        if self._signatures is not None:
            self._signatures.require(release)
        spec = release.spec
        if release.reference is not None:
            self._require(
                reference_path(spec.name, release.reference.sha256),
                release.reference.sha256,
                release,
                f"copy the file again, or run python -m export {spec.name} --reference DIR",
            )
        for member, released in release.members.items():
            folder = version_folder(spec.name, member, released.version)
            remedy = (
                f"copy the folder again, or run python -m export {spec.name} --profile "
                f"{spec.profile} --checkpoint {spec.origin(member)}=FILE"
            )
            for name, sha256 in released.files.items():
                self._require(folder / name, sha256, release, remedy)
            try:
                there = {path.name for path in (self._repository / folder).iterdir()}
                manifest = Manifest.read(self._repository / folder)
                manifest.require_made_for(spec, member, self._repository / folder)
            except (OSError, ValueError) as error:
                raise ReleaseError(str(error)) from None
            if extra := sorted(there - set(released.files) - {FILENAME}):
                raise ReleaseError(
                    f"{self._repository / folder / extra[0]}: release {release.identity} does not "
                    "name it: remove it"
                )
            found = (manifest.artefact_sha256, manifest.weights, manifest.order_known_from)
            named = (release.artefact_sha256(member), released.weights, released.class_order)
            if found != named:
                raise ReleaseError(
                    f"{self._repository / folder / FILENAME}: is of another artefact than release "
                    f"{release.identity} names: {remedy}"
                )

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file in the repository.

        Raises:
            OSError: it cannot be read.
        """
        status = (self._repository / path).stat()
        mark = (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        if path not in self._hashed or self._hashed[path][0] != mark:
            self._hashed[path] = mark, sha256_of(self._repository / path)
        return self._hashed[path][1]

    def _require(self, path: Path, sha256: str, release: Release, remedy: str) -> None:
        whole = self._repository / path
        try:
            found = self.sha256(path)
        except FileNotFoundError:
            raise ReleaseError(
                f"{whole}: missing, and release {release.identity} names it: {remedy}"
            ) from None
        except OSError as error:
            raise ReleaseError(f"{whole}: cannot be read: {error.strerror}") from None
        if found != sha256:
            raise ReleaseError(
                f"{whole}: corrupt or replaced: its SHA-256 is not the {sha256[:12]}... that "
                f"release {release.identity} names: {remedy}"
            )


def config_path(repository: Path, model: str, profile: str) -> Path:
    """The config that Triton reads for a model under a profile (`--model-config-name`).

    `<model>/configs/<profile>.pbtxt` where there is one, else `<model>/config.pbtxt`; relative to
    the repository.
    """
    own = Path(model, protocol.PROFILE_CONFIGS, f"{profile}.pbtxt")
    # Also a link that leads nowhere: it says that somebody wanted another config.
    there = (repository / own).exists() or (repository / own).is_symlink()
    return own if there else Path(model, protocol.CONFIG_FILENAME)


def version_folder(pipeline: str, member: str, version: int) -> Path:
    """The folder of a member's version, relative to the repository."""
    return Path(protocol.member_model(pipeline, member), str(version))
