"""`python -m export --demo`: demo weights of several pipelines, where they are wanted."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from export import shown
from export.errors import ExportError
from export.repository import ModelRepository
from export.shown import screen
from pipelines.definition import PipelineDefinition
from pipelines.spec import PipelineSpec


class TrainedWeightsError(ExportError):
    """Demo weights would be served in place of trained ones."""


@dataclass(frozen=True)
class Demo:
    """What to make, and where."""

    target: ModelRepository
    specs: Path
    """Folder of the pipelines' YAML."""
    profile: str
    version: int | None
    seed: int
    if_missing: bool
    """Makes only members that have no version yet, of the checkpoints that the others are of."""

    def make(self, pipelines: list[PipelineDefinition]) -> bool:
        """Makes all; one that fails does not keep the others from theirs, but from True."""
        failed = False
        for whole in pipelines:
            spec = whole.resolve_or_default(self.profile)
            try:
                shown.write_configs(whole, self.target, self.specs)
                if not self.if_missing or shown.members_without_version(spec, self.target):
                    self._publish(whole, spec)
            except ExportError as error:
                shown.say(error)
                failed = True
        return not failed

    def _publish(self, whole: PipelineDefinition, spec: PipelineSpec) -> None:
        from demo import kept  # noqa: PLC0415 - torch: keep --help quick
        from export.labelled_photos import drawn_evidence  # noqa: PLC0415
        from export.plan import plan  # noqa: PLC0415

        origins = list(dict.fromkeys(map(spec.origin, spec.members)))
        folder = kept.place(whole, origins, self.seed)
        files = {}
        if self.if_missing:
            self._require_no_trained(whole, spec)
            files = kept.find(folder, origins)
        screen.print(
            f"{whole.name}: making demo weights from drawings: they mean nothing clinically.",
            style="yellow",
            highlight=False,
        )
        with tempfile.TemporaryDirectory() as scratch:
            if files:
                screen.print(f"{whole.name}: of the checkpoints in {folder}", highlight=False)
            else:
                trained = self._train(whole, Path(scratch))
                files = {name: trained[name] for name in origins}
                # Another profile serves them in other forms.
                if whole.members.keys() != spec.members.keys():
                    files = kept.keep(files, folder)
            members = kept.outdated(spec, files, self.target) if self.if_missing else spec.members
            files = {name: files[name] for name in map(spec.origin, members)}
            needed = plan(whole, files, members).quantised
            shown.export(
                whole,
                files,
                self.target,
                members=members,
                profile=self.profile,
                version=self.version,
                evidence=drawn_evidence(whole, self.seed) if needed else None,
            )

    def _require_no_trained(self, whole: PipelineDefinition, spec: PipelineSpec) -> None:
        from demo import kept  # noqa: PLC0415 - torch: keep --help quick

        for member in whole.members:
            manifest = kept.newest(whole, member, self.target)
            if manifest is not None and manifest.weights == "trained":
                missing = shown.members_without_version(spec, self.target)
                given = " ".join(f"--checkpoint {name}=FILE" for name in map(spec.origin, missing))
                raise TrainedWeightsError(
                    f"{whole.name}: {member} has trained weights, beside which no demo weights "
                    f"are made for {', '.join(missing)}: run python -m export {whole.name} "
                    f"--profile {self.profile} {given}"
                )

    def _train(self, whole: PipelineDefinition, folder: Path) -> dict[str, Path]:
        from demo.progress import shown_on  # noqa: PLC0415 - torch: keep --help quick
        from demo.training import train  # noqa: PLC0415

        with shown_on(screen) as on_progress:
            report = train(whole, folder, self.seed, on_progress)
        screen.print(report.summary(), highlight=False, soft_wrap=True)
        return report.files
