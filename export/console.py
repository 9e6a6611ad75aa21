"""Prints what the export commands do: configs, releases, progress, results and errors."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from export import releases
from export.progress import shown_on
from export.read_options import AS_THE_FILE_SAYS, ReadOptions
from export.repository import ModelRepository
from pipelines import protocol
from pipelines.definition import PipelineDefinition
from pipelines.manifest import Manifest, OrderKnownFrom
from pipelines.release import Release
from pipelines.spec import PipelineSpec
from tracking.server import TrackedRun, TrackingError, TrackingServer

if TYPE_CHECKING:
    from export.calibration import Calibrations
    from export.labelled_photos import Evidence
    from export.reference_photos import ReferencePhotos
    from export.versions import Exported

screen = Console(stderr=True)
_COLUMNS = (
    "member",
    "version",
    "artefact",
    "MB",
    "CPU ms",
    "parity",
    "agreement",
    "accuracy",
    "weights",
    "sha256",
)


def say(error: object) -> None:
    """Why something was not done."""
    screen.print(f"export: {error}", style="red", markup=False, highlight=False, soft_wrap=True)


def write_configs(whole: PipelineDefinition, target: ModelRepository, specs: Path) -> None:
    """Brings configs and releases of a pipeline up to date; `specs` is the folder of its YAML."""
    for path in target.write_configs(whole, f"{specs.name}/{whole.name}.yaml"):
        what = "wrote" if path.exists() else "removed"
        screen.print(f"{what} {path}", highlight=False, soft_wrap=True)
    make_releases(whole, target)


def make_releases(
    whole: PipelineDefinition,
    target: ModelRepository,
    published: Mapping[str, int] | None = None,
    new_references: Collection[str] = (),
) -> list[Release]:
    """Makes the releases of a pipeline's versions; see `export.releases.make`. Returns new ones."""
    made = releases.make(whole, target, published or {}, new_references)
    for release in made.made:
        say_serves(release)
    for release in made.unstaged:
        name, identity = release.spec.name, release.identity
        screen.print(
            f"{name}: release {identity} of profile {release.spec.profile} is made, and answers "
            f"nobody yet: python -m releases stage {name} {identity}",
            highlight=False,
            soft_wrap=True,
        )
    for problem in [*made.problems, *made.lost_references]:
        screen.print(
            f"export: {problem}", style="red", markup=False, highlight=False, soft_wrap=True
        )
    return [*made.made, *made.unstaged]


def reference_photos(
    whole: PipelineDefinition, folder: Path, validation: Path | None
) -> "ReferencePhotos":
    """`export.reference_photos.find`, apart from the photos that the pipeline is judged with."""
    # torch: keep --help quick
    from export import photos, reference_photos  # noqa: PLC0415

    with screen.status(f"{whole.name}: looking for reference photos"):
        return reference_photos.find(folder, photos.files_below(validation) if validation else ())


def fit_references(
    whole: PipelineDefinition, found: "ReferencePhotos | None", target: ModelRepository
) -> list[Release]:
    """`export.reference_fit.fit` with its progress, and the releases that name the references."""
    if found is None:
        return []
    from export import photos, reference_fit  # noqa: PLC0415 - torch, as above

    with shown_on(screen) as on_progress:
        made = reference_fit.fit(whole, target, found, on_progress)
    if made.measured.left_out:
        say(f"{whole.name}: {photos.described(made.measured.left_out)}")
    copies = f"; {found.copies} copies left out" if found.copies else ""
    screen.print(
        f"{whole.name}: {len(made.sha256)} references of {len(made.measured.digests)} photos"
        f"{copies}",
        highlight=False,
    )
    return make_releases(whole, target, new_references=made.sha256)


def say_serves(release: Release) -> None:
    """Which release serves from now on."""
    spec = release.spec
    members = ", ".join(f"{name} v{member.version}" for name, member in release.members.items())
    screen.print(
        f"{spec.name}: release {release.identity} of profile {spec.profile}: {members}",
        highlight=False,
        soft_wrap=True,
    )
    _say_calibration(release)
    not_verified = OrderKnownFrom.NOT_VERIFIED
    if unknown := [n for n, each in release.members.items() if each.class_order is not_verified]:
        screen.print(
            f"{spec.name}: class order not verified: {', '.join(unknown)}", highlight=False
        )


def _say_calibration(release: Release) -> None:
    """What of a release is calibrated, where some of it is."""
    spec, found = release.spec, release.calibration
    if found is None:
        return
    text = "not all members are calibrated on the same photos; calibrated alone: "
    if found.ensemble is not None:
        before, after = found.ensemble.error_before.value, found.ensemble.error_after.value
        text = f"calibration error {after:.3f}, without calibration {before:.3f}: "
    screen.print(f"{spec.name}: {text}{', '.join(found.members)}", highlight=False, soft_wrap=True)


def members_without_version(spec: PipelineSpec, target: ModelRepository) -> list[str]:
    """The members that a pipeline still lacks."""
    models = {member: protocol.member_model(spec.name, member) for member in spec.members}
    return [member for member, model in models.items() if not target.versions(model)]


def export(
    whole: PipelineDefinition,
    files: dict[str, Path],
    target: ModelRepository,
    *,
    members: Iterable[str],
    profile: str,
    version: int | None,
    photos: Path | None = None,
    evidence: "Evidence | None",
    calibrations: "Calibrations | None" = None,
    options: ReadOptions = AS_THE_FILE_SAYS,
) -> "tuple[list[Exported], list[Release]]":
    """`export.versions.export`, with its progress, its table, and what is missing afterwards.

    Returns:
        What was published, and the releases that were made of it.
    """
    from export import versions  # noqa: PLC0415 - torch: keep --help quick

    with screen.status("starting") as status:

        def on_step(text: str) -> None:
            status.update(text)
            if not screen.is_terminal:
                screen.print(text, highlight=False)

        exported = versions.export(
            whole,
            files,
            target,
            members=members,
            version=version,
            photos=photos,
            evidence=evidence,
            calibrations=calibrations,
            options=options,
            on_step=on_step,
        )
    screen.print(_table(exported))
    if calibrated := [each for each in exported if each.manifest.calibration]:
        screen.print(_calibration_table(calibrated))
    for each in exported:
        for note in each.manifest.notes:
            screen.print(f"{each.member}: {note}", markup=False, highlight=False, soft_wrap=True)
    made = make_releases(whole, target, {each.member: each.manifest.version for each in exported})
    if missing := members_without_version(whole.resolve_or_default(profile), target):
        screen.print(f"{whole.name} cannot be served before it has: {', '.join(missing)}")
    return exported, made


def track(server: TrackingServer, run: TrackedRun) -> None:
    """Tells a tracking server of an export, which stays as it is where that fails."""
    try:
        with screen.status("telling the tracking server"):
            identity = server.tell(run)
    except TrackingError as error:
        say(f"{error}. The export is done all the same")
    else:
        screen.print(f"tracked as run {identity}", highlight=False)


def _table(exported: "list[Exported]") -> Table:
    """Size, CPU time and proof of each published version.

    `parity`: from the checkpoint in torch, of logits or scores, and of a detector's boxes in
    pixels. `agreement` and `accuracy`: of a quantised member, with its FP32 original.
    """
    table = Table(*_COLUMNS)
    for item in exported:
        manifest = item.manifest
        table.add_row(
            item.member,
            str(manifest.version),
            manifest.artefact,
            f"{(manifest.bytes or 0) / 1e6:.1f}",
            f"{manifest.cpu_ms:.1f}",
            *_proof(manifest),
            manifest.weights,
            manifest.artefact_sha256[:12],
        )
    return table


def _calibration_table(exported: "list[Exported]") -> Table:
    """Temperature and expected calibration error of each calibrated version."""
    table = Table("member", "temperature", "error before", "error after", "of photos")
    for item in exported:
        if (found := item.manifest.calibration) is not None:
            errors = (
                f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
                for each in (found.error_before, found.error_after)
            )
            table.add_row(item.member, f"{found.temperature:.3f}", *errors, str(found.measured))
    return table


def _proof(manifest: Manifest) -> tuple[str, str, str]:
    gate = manifest.gate
    if gate is not None:
        accuracy = f"{gate.accuracy:.1%} (FP32 {gate.accuracy_fp32:.1%}, n = {gate.images})"
        return "", f"{gate.agreement:.1%}", accuracy
    boxes = "" if manifest.parity_boxes is None else f", boxes {manifest.parity_boxes:.1e} px"
    return f"{manifest.parity_error:.1e}{boxes}", "", ""
