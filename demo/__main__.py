"""`python -m demo`: exports the demo weights that are committed in `demo/checkpoints/`."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from demo import references
from export import console
from export.arguments import definitions
from export.console import screen
from export.errors import ExportError
from export.repository import ModelRepository
from pipelines import protocol
from pipelines.calibration import MemberCalibration
from pipelines.definition import PipelineDefinition
from pipelines.load import FOLDER, SpecError, require_profile
from pipelines.manifest import Manifest, ManifestError, sha256_of
from pipelines.profile import DEFAULT_PROFILE, EMBEDDED_PROFILE
from pipelines.spec import PipelineSpec

ROOT = Path(__file__).parent.parent
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


class TrainedWeightsError(ExportError):
    """Demo weights would be served in place of trained ones."""


@dataclass(frozen=True)
class Demo:
    """What to export, and where."""

    target: ModelRepository
    specs: Path
    """Folder of the pipelines' YAML."""
    profile: str
    if_missing: bool
    """Exports only where a member has no version, and then only what differs."""

    def export(self, pipelines: list[PipelineDefinition]) -> bool:
        """Exports all; one that fails does not keep the others from theirs, but from True."""
        failed = False
        for whole in pipelines:
            spec = self._spec(whole)
            try:
                console.write_configs(whole, self.target, self.specs)
                if not self.if_missing or console.members_without_version(spec, self.target):
                    self._publish(whole, spec)
                self._publish_references(whole)
            except (ExportError, OSError) as error:
                console.say(error)
                failed = True
        return not failed

    def _spec(self, whole: PipelineDefinition) -> PipelineSpec:
        spec = whole.resolve_or_default(self.profile)
        if self.profile != EMBEDDED_PROFILE or not self.if_missing:
            return spec
        if console.members_without_version(spec, self.target) and self._trained(whole):
            # Trained weights of the default are served as they are, without demo weights beside.
            return whole.resolve_or_default(DEFAULT_PROFILE)
        return spec

    def _trained(self, whole: PipelineDefinition) -> list[str]:
        """The members whose newest version has trained weights."""
        manifests = {member: _newest(whole, member, self.target) for member in whole.members}
        return [name for name, found in manifests.items() if found and found.weights == "trained"]

    def _publish(self, whole: PipelineDefinition, spec: PipelineSpec) -> None:
        from demo.calibration import committed  # noqa: PLC0415 - torch: keep --help quick
        from demo.expansion import exportable  # noqa: PLC0415
        from demo.labelled import evidence  # noqa: PLC0415
        from export.calibration import Calibrations  # noqa: PLC0415
        from export.plan import plan  # noqa: PLC0415

        if self.if_missing:
            self._require_no_trained(whole, spec)
        screen.print(
            f"{whole.name}: exporting demo weights: they mean nothing clinically.",
            style="yellow",
            highlight=False,
        )
        origins = dict.fromkeys(map(spec.origin, spec.members))
        with tempfile.TemporaryDirectory() as scratch:
            files = exportable(whole, origins, Path(scratch))
            known = committed(whole)
            members = (
                _outdated(spec, files, self.target, known) if self.if_missing else spec.members
            )
            files = {name: files[name] for name in map(spec.origin, members)}
            quantised = plan(whole, files, members).quantised
            console.export(
                whole,
                files,
                self.target,
                members=members,
                profile=spec.profile,
                version=None,
                evidence=evidence(whole) if quantised else None,
                calibrations=Calibrations(known=known),
            )

    def _publish_references(self, whole: PipelineDefinition) -> None:
        """Has releases of demo weights judge typicality, by references that are committed too."""
        published = references.publish(whole, self.target)
        if published:
            # A reference of the user's own stays, unless everything is exported anew.
            new = () if self.if_missing else published
            console.make_releases(whole, self.target, new_references=new)

    def _require_no_trained(self, whole: PipelineDefinition, spec: PipelineSpec) -> None:
        for member in self._trained(whole):
            missing = console.members_without_version(spec, self.target)
            given = " ".join(f"--checkpoint {name}=FILE" for name in map(spec.origin, missing))
            raise TrainedWeightsError(
                f"{whole.name}: {member} has trained weights, beside which no demo weights "
                f"are exported for {', '.join(missing)}: run python -m export {whole.name} "
                f"--profile {spec.profile} {given}"
            )


def _newest(spec: PipelineSpec, member: str, repository: ModelRepository) -> Manifest | None:
    """The manifest of a member's newest version, if it has one that can be read."""
    model = protocol.member_model(spec.name, member)
    if not (versions := repository.versions(model)):
        return None
    try:
        return Manifest.read(repository.root / model / str(versions[-1]))
    except ManifestError:
        return None


def _outdated(
    spec: PipelineSpec,
    files: dict[str, Path],
    repository: ModelRepository,
    known: Mapping[str, MemberCalibration],
) -> list[str]:
    """The members whose newest version comes from other checkpoints, or is calibrated otherwise."""
    manifests = {name: _newest(spec, name, repository) for name in spec.members}
    return [
        name
        for name, manifest in manifests.items()
        if manifest is None
        or manifest.member_hash != spec.member_hash(name)
        or not _made_from(files[spec.origin(name)], manifest)
        or _temperature(manifest) != _known_temperature(known.get(spec.origin(name)))
    ]


def _temperature(manifest: Manifest) -> float | None:
    return None if manifest.calibration is None else manifest.calibration.temperature


def _known_temperature(calibration: MemberCalibration | None) -> float | None:
    return None if calibration is None else calibration.figures.temperature


def _made_from(checkpoint: Path, manifest: Manifest) -> bool:
    """Never of a detector's checkpoint: several files, of which the manifest has one hash."""
    return checkpoint.is_file() and manifest.checkpoint_sha256 == sha256_of(checkpoint)


@app.command(no_args_is_help=True)
def main(
    pipelines: Annotated[
        str,
        typer.Argument(metavar="PIPELINE", help="One, several with commas between, or `all`."),
    ],
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Export the members that this profile of the YAML serves."
        ),
    ] = DEFAULT_PROFILE,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Only where a member has no version.")
    ] = False,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
) -> None:
    """Exports demo weights, to try the service with: they mean nothing clinically.

    They were trained on drawings and are committed (docs/demo.md); nothing is trained here.
    """
    wholes, problems = definitions(pipelines, specs)
    for problem in problems:
        console.say(problem)
    try:
        if wholes:
            require_profile(profile, wholes)
    except SpecError as error:
        console.say(error)
        raise typer.Exit(1) from None
    demo = Demo(ModelRepository(repository), specs, profile, if_missing)
    exported = demo.export(wholes)
    raise typer.Exit(0 if exported and not problems else 1)


if __name__ == "__main__":
    app(prog_name="python -m demo")
