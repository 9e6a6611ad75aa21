"""Compares the files of a model repository with those that a release names."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pipelines import atomic_write, protocol
from pipelines.manifest import FILENAME, Manifest, sha256_of
from pipelines.release import Release, ReleaseError, release_path
from pipelines.typicality import reference_path

if TYPE_CHECKING:
    from pipelines.signatures import Signatures

_TEXTS = TypeAdapter(dict[str, str])


class ReleaseFiles:
    """The files of one repository.

    A file is hashed once. Its size, inode and times (the change time, which no program can set)
    say later whether it may have changed; only then it is hashed again.
    """

    def __init__(self, repository: Path, signatures: "Signatures | None" = None) -> None:
        """With `signatures` a release must also be signed."""
        self.repository = repository
        self._signatures = signatures
        self._hashed: dict[Path, tuple[tuple[int, ...], str]] = {}

    def verify(self, release: Release) -> None:
        """Checks every file of a release: there, unchanged, and no other beside it.

        Raises:
            ReleaseError: with the name of the first file that differs.
        """
        self.verify_members(release)
        spec = release.spec
        read = {config_path(self.repository, model, spec.profile) for model in spec.models}
        for name, sha256 in release.configs.items():
            self._require(Path(name), sha256, release, "run `make configs`")
        for path in sorted(read - set(map(Path, release.configs))):
            raise ReleaseError(
                f"{self.repository / path}: Triton would read it, but release "
                f"{release.identity} does not name it: remove it, or run `make configs`"
            )
        members = {protocol.member_model(spec.name, member) for member in spec.members}
        for model in sorted(set(spec.models) - members):
            # Triton loads no model without a version, also of a step that has no artefact.
            if not (folder := self.repository / model / "1").is_dir():
                raise ReleaseError(f"{folder}: missing: run `make configs`")

    def verify_members(self, release: Release) -> None:
        """Checks the signature, the files of the members' versions, and the typicality's reference.

        Raises:
            ReleaseError: with the name of the first file that differs.
        """
        self.require_signed(release)
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
                there = {path.name for path in (self.repository / folder).iterdir()}
                manifest = Manifest.read(self.repository / folder)
                manifest.require_made_for(spec, member, self.repository / folder)
            except (OSError, ValueError) as error:
                raise ReleaseError(str(error)) from None
            if extra := sorted(there - set(released.files) - {FILENAME}):
                raise ReleaseError(
                    f"{self.repository / folder / extra[0]}: release {release.identity} does not "
                    "name it: remove it"
                )
            found = (manifest.artefact_sha256, manifest.weights, manifest.order_known_from)
            named = (release.artefact_sha256(member), released.weights, released.class_order)
            if found != named:
                raise ReleaseError(
                    f"{self.repository / folder / FILENAME}: is of another artefact than release "
                    f"{release.identity} names: {remedy}"
                )

    def require_signed(self, release: Release) -> None:
        """Checks the signature of a release, where one is asked for.

        Raises:
            SignatureRefusedError: it is not signed, or was withdrawn.
        """
        if self._signatures is not None:
            self._signatures.require(release)

    def sha256(self, path: Path) -> str:
        """SHA-256 of a file in the repository.

        Raises:
            OSError: it cannot be read.
        """
        status = (self.repository / path).stat()
        mark = (status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        if path not in self._hashed or self._hashed[path][0] != mark:
            self._hashed[path] = mark, sha256_of(self.repository / path)
        return self._hashed[path][1]

    def _require(self, path: Path, sha256: str, release: Release, remedy: str) -> None:
        whole = self.repository / path
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


def keep_configs(release: Release, repository: Path) -> None:
    """Writes a copy of the configs that a release names, unless there is a whole one already.

    The next `make configs` may write others in their place; the copy lets the release serve beside
    later ones, and again.

    Raises:
        ReleaseError: they are other ones already.
        OSError: they cannot be read, or the copy cannot be written.
    """
    with suppress(ReleaseError):
        kept_configs(release, repository)
        return
    path = _copy_path(release, repository)
    texts = {name: (repository / name).read_bytes().decode() for name in release.configs}
    for name, text in texts.items():
        _require_config(release, name, text, repository / name)
    atomic_write.write_text(path, json.dumps(texts))


def kept_configs(release: Release, repository: Path) -> dict[str, str]:
    """The copies of the configs that a release names, by path in the repository.

    Raises:
        ReleaseError: there is no copy, or it is not what the release names.
    """
    path = _copy_path(release, repository)
    try:
        texts = _TEXTS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ReleaseError(
            f"{path}: missing: stage release {release.identity} again, with the YAML that it was "
            "made from in place (`make configs`)"
        ) from None
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError:
        raise ReleaseError(f"{path}: is no copy of configs: copy the file again") from None
    for name in release.configs:
        _require_config(release, name, texts.get(name, ""), path)
    return {name: texts[name] for name in release.configs}


def _require_config(release: Release, name: str, text: str, path: Path) -> None:
    if hashlib.sha256(text.encode()).hexdigest() != release.configs[name]:
        raise ReleaseError(
            f"{path}: has not the {name} that release {release.identity} names: put the YAML back "
            "that it was made from and run `make configs`, or copy the file again"
        )


def _copy_path(release: Release, repository: Path) -> Path:
    path = release_path(release.spec.name, release.identity, repository)
    # Beside `with_suffix`, as an id may hold a dot.
    return path.with_name(f"{release.identity}.configs")
