"""Finds the pipelines whose releases can be served, at the start and while the launcher runs."""

import glob
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipelines.definition import PipelineDefinition
from pipelines.embedded import embedded_spec
from pipelines.load import SpecError, available, load_definition, require_profile
from pipelines.profile import DEFAULT_PROFILE, EMBEDDED_PROFILE
from pipelines.release import ReleaseError, current_identity
from pipelines.release_files import ReleaseFiles
from pipelines.release_state import ReleaseState
from pipelines.signatures import TIMESTAMP, Signatures
from pipelines.spec import PipelineSpec
from server.errors import RefusedPipelineError, UnknownProfileError
from server.releases.verification import verify_kept, verify_release
from server.releases.verified import VerifiedRelease

_Stamp = tuple[tuple[str, int], ...]


class PipelineDiscovery:
    """Verifies each pipeline's release once, and that of a refused one again when files change.

    So a pipeline whose YAML or release comes later is served without a restart.
    """

    def __init__(
        self,
        specs: Path,
        repository: Path,
        names: list[str] | None,
        profile: str = DEFAULT_PROFILE,
        signatures: Signatures | None = None,
    ) -> None:
        """`names` None: all that have a YAML in `specs`, now or later.

        A pipeline without a profile of that name is served under its default. `embedded` stands for
        the one that each YAML names. With `signatures` a release must be signed.
        """
        self._specs = specs
        self._profile = profile
        self._repository = repository
        self._names = names
        self.files = ReleaseFiles(repository, signatures)
        self.reasons: dict[str, str] = {}
        """Why a pipeline has its profile, where that is not the one that was asked for by name."""
        self._verified: set[str] = set()
        self._refused: dict[str, _Stamp] = {}
        """The state of a pipeline's files when it was refused."""

    def require_profile(self) -> None:
        """Checks that one of the pipelines that are there has the profile.

        Raises:
            UnknownProfileError: none has; the message has those that there are.
        """
        wholes = []
        for name in self._asked():
            # The first look reports what cannot be read.
            with suppress(SpecError):
                wholes.append(load_definition(name, self._specs))
        try:
            require_profile(self._profile, wholes)
        except SpecError as error:
            raise UnknownProfileError(str(error)) from None

    def look(self) -> tuple[list[VerifiedRelease], list[str]]:
        """The pipelines that have become servable since the last look, and new refusals."""
        releases, problems = [], []
        for name in self._asked():
            if name in self._verified or self._refused.get(name) == (stamp := self._stamp(name)):
                continue
            try:
                spec = self._resolve(load_definition(name, self._specs))
                releases.append(self._verify(spec))
                self._verified.add(name)
            except (RefusedPipelineError, SpecError) as error:
                problems.append(str(error))
                self._refused[name] = stamp
        return releases, problems

    def _resolve(self, whole: PipelineDefinition) -> PipelineSpec:
        if self._profile != EMBEDDED_PROFILE:
            spec = whole.resolve_or_default(self._profile)
            if spec.profile != self._profile:
                self.reasons[whole.name] = f"it has no profile {self._profile}"
            return spec
        spec, self.reasons[whole.name] = embedded_spec(whole, self._repository)
        return spec

    def _verify(self, spec: PipelineSpec) -> VerifiedRelease:
        name, profile = spec.name, spec.profile
        try:
            state = ReleaseState.read(name, profile, self._repository)
            if state is None:
                return verify_release(spec, self._repository, self.files)
            identity = current_identity(name, profile, self._repository)
        except ReleaseError as error:
            raise RefusedPipelineError(f"{name}: {error}") from None
        kept = verify_kept(name, identity, self._repository, self.files)
        return replace(kept, first=True)

    def _asked(self) -> list[str]:
        return available(self._specs) if self._names is None else self._names

    def _stamp(self, name: str) -> _Stamp:
        """The state of a pipeline's files: it differs when one has changed."""
        models = self._repository.glob(f"{glob.escape(name)}*")
        watched = [self._specs / f"{name}.yaml", self._repository / TIMESTAMP]
        for model in models:
            for folder, _, files in os.walk(model):
                watched += [Path(folder), *(Path(folder, file) for file in files)]
        return tuple((str(path), _changed(path)) for path in watched)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
