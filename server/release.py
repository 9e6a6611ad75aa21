"""What one pipeline serves: its spec, the artefacts vouched for, and the configs to load."""

import json
from dataclasses import dataclass
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as pb

from pipelines import protocol
from pipelines.manifest import Manifest, ManifestError
from pipelines.protocol import Delta
from pipelines.spec import PipelineSpec
from server.delta import with_delta
from server.errors import RefusedPipelineError


@dataclass(frozen=True)
class Release:
    """A pipeline whose files were all found good; the versions stay as they were found then."""

    spec: PipelineSpec
    repository: Path
    manifests: dict[str, Manifest]
    """By member, in the spec's order."""
    configs: dict[str, pb.ModelConfig]
    """Committed configs of the profile by model, in the order of loading: the ensemble last."""

    @property
    def identity(self) -> str:
        """The release id that every answer carries."""
        return self.spec.release_id(
            {member: manifest.artefact_sha256 for member, manifest in self.manifests.items()}
        )

    @property
    def demo(self) -> bool:
        """Whether any member has demo weights."""
        return any(manifest.weights == "demo" for manifest in self.manifests.values())

    def loadable(self, model: str, generation: int) -> pb.ModelConfig:
        """The full config to load a model with: the committed one and the launcher's delta."""
        spec = self.spec
        parameters = {Delta.GENERATION: str(generation)}
        version = None
        for member, manifest in self.manifests.items():
            if model == protocol.member_model(spec.name, member):
                parameters[Delta.SHA256] = manifest.artefact_sha256
                version = manifest.version
        decision = model == protocol.decision_model(spec.name)
        if decision:
            parameters[Delta.RELEASE] = self.identity
        if model == spec.name or (decision and spec.serving.one_process):
            parameters[Delta.ARTEFACTS] = json.dumps(self._artefacts())
        return with_delta(self.configs[model], parameters, version)

    def _artefacts(self) -> dict[str, dict[str, str]]:
        return {
            member: {
                "version": str(manifest.version),
                "sha256": manifest.artefact_sha256,
                "weights": manifest.weights,
            }
            for member, manifest in self.manifests.items()
        }

    def verify(self) -> None:
        """Checks the artefacts again, before they are loaded again.

        Raises:
            RefusedPipelineError: a file changed or went away since.
        """
        for member, manifest in self.manifests.items():
            folder = self.repository / protocol.member_model(self.spec.name, member)
            try:
                manifest.verify(folder / str(manifest.version))
            except (ManifestError, OSError) as error:
                raise RefusedPipelineError(f"{self.spec.name}: {error}") from None
