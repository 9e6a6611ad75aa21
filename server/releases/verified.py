"""A release with verified files, and the configs to load."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as pb

from pipelines import protocol
from pipelines.protocol import ConfigOverride, Spent
from pipelines.release import Release, ReleaseError
from pipelines.release_files import ReleaseFiles, version_folder
from pipelines.spec import PipelineSpec
from pipelines.typicality import ReleasedReference
from server.errors import RefusedPipelineError
from server.releases.config_override import with_override


@dataclass(frozen=True)
class VerifiedRelease:
    """What Triton loads of one pipeline. It stays the same while new versions are exported."""

    release: Release
    configs: dict[str, pb.ModelConfig]
    """By model, in the order of loading: the ensemble last."""
    files: ReleaseFiles
    staged: bool = False
    """Whether its models have names of their own, so that it is loaded beside another release."""
    first: bool = False
    """Whether the launcher began with it, although it has names of its own."""

    @property
    def name(self) -> str:
        """Triton's name of its ensemble."""
        return self.model(self.spec.name)

    def model(self, own: str) -> str:
        """Triton's name of one of its models, by the name that it has where none is staged."""
        return protocol.named_for(own, self.identity if self.staged else None)

    @property
    def answering_models(self) -> list[str]:
        """The models that a request which names no member goes through."""
        return [self.model(each) for each in self.spec.answering_models]

    @property
    def spec(self) -> PipelineSpec:
        """The facts that are served."""
        return self.release.spec

    @property
    def identity(self) -> str:
        """The release id that every answer carries."""
        return self.release.identity

    @property
    def demo(self) -> bool:
        """Whether any member has demo weights."""
        return any(member.weights == "demo" for member in self.release.members.values())

    def loadable(
        self, model: str, generation: int, measures: Callable[[str], bool] = lambda _: False
    ) -> pb.ModelConfig:
        """The full config to load a model with: the file's and the launcher's override.

        Args:
            model: one of the release's.
            generation: of its backend processes.
            measures: whether a backend of this name answers what its passes spent.
        """
        release, spec = self.release, self.spec
        parameters = {ConfigOverride.GENERATION: str(generation)}
        version = None
        models = self.members
        measured = [
            name
            for name, of_member in models.items()
            if of_member in self.configs and measures(self.configs[of_member].backend)
        ]
        for name, member in release.members.items():
            if model == models[name]:
                parameters[ConfigOverride.SHA256] = release.artefact_sha256(name)
                version = member.version
        decision, ensemble = model == self.decision, model == self.name
        if decision or ensemble:
            parameters[ConfigOverride.RELEASE] = self.identity
            if self.staged:
                parameters[ConfigOverride.STAGED] = self.identity
            if decision and measured:
                parameters[ConfigOverride.MEASURED] = json.dumps(measured)
            if release.calibration is not None:
                parameters[ConfigOverride.CALIBRATION] = release.calibration.served
            if release.reference is not None:
                parameters[ConfigOverride.REFERENCE] = self._reference(release.reference)
        if ensemble:
            parameters[ConfigOverride.RELEASE_SHA256] = release.sha256
            if self.first:
                parameters[ConfigOverride.FIRST] = self.identity
        if ensemble or (decision and spec.serving.one_process):
            parameters[ConfigOverride.ARTEFACTS] = json.dumps(self._artefacts())
        config = with_override(self.configs[model], parameters, version)
        if model in {models[name] for name in measured}:
            config.output.add(name=protocol.SPENT, data_type=pb.TYPE_FP64, dims=[len(Spent)])
        return config

    @property
    def members(self) -> dict[str, str]:
        """Triton's names of the members' models, also of those that it does not load, by member."""
        own = {name: protocol.member_model(self.spec.name, name) for name in self.release.members}
        return {name: self.model(model) for name, model in own.items()}

    @property
    def decision(self) -> str:
        """Triton's name of the decision step."""
        return self.model(protocol.decision_model(self.spec.name))

    def version_folder(self, member: str) -> Path:
        """The folder of a member's version, relative to the repository."""
        return version_folder(self.spec.name, member, self.release.members[member].version)

    def _reference(self, reference: ReleasedReference) -> str:
        if not self.staged:
            return reference.served
        # Its steps lie in another folder than the repository.
        said = json.loads(reference.served)
        return json.dumps({**said, "file": str(self.files.repository / said["file"])})

    def _artefacts(self) -> dict[str, dict[str, str | float | None]]:
        return {
            name: {
                "version": str(member.version),
                "sha256": self.release.artefact_sha256(name),
                "weights": member.weights,
                "temperature": member.temperature,
            }
            for name, member in self.release.members.items()
        }

    def verify(self) -> None:
        """Checks the members' files again, before they are loaded again.

        Raises:
            RefusedPipelineError: a file changed, went away or was added since.
        """
        try:
            self.files.verify_members(self.release)
        except ReleaseError as error:
            raise RefusedPipelineError(f"{self.spec.name}: {error}") from None
