"""Judges images as a release does: decoding, features of its member, its reference."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from export import photos, reference_photos
from export.reference_forms import Form
from inference.decode import decode
from inference.typicality import Reference
from lab.errors import LabError
from lab.typicality.kept import Measured
from pipelines.manifest import Manifest
from pipelines.release import Release
from pipelines.release_files import ReleaseFiles, version_folder
from pipelines.spec import PipelineSpec
from pipelines.typicality import reference_path

_BATCH = 8


@dataclass(frozen=True)
class Judge:
    """One release's, opened."""

    spec: PipelineSpec
    reference: Reference
    network: str
    """Names what features are taken from: pipeline and artefact."""
    features_of: reference_photos.FeaturesOf | None
    """None: the picture's statistics serve alone."""

    @classmethod
    def of(cls, pipeline: str, profile: str, repository: Path) -> "Judge":
        """Opens what serves a profile, after the launcher's checks.

        Raises:
            ReleaseError: there is no release, or its files differ.
            LabError: it has no reference.
        """
        release = Release.current(pipeline, profile, repository)
        ReleaseFiles(repository).verify(release)
        spec = release.spec
        if release.reference is None or spec.typicality is None:
            raise LabError(f"{pipeline}: release {release.identity} has no reference: `make demo`")
        reference = Reference.load(repository / reference_path(pipeline, release.reference.sha256))
        name = spec.typicality.member
        if name is None or reference.features is None:
            return cls(spec, reference, pipeline, None)
        folder = repository / version_folder(pipeline, name, release.members[name].version)
        manifest = Manifest.read(folder)
        form = Form(name, folder / manifest.artefact, manifest)
        network = f"{pipeline}-{name}-{manifest.checkpoint_sha256[:16]}"
        return cls(spec, reference, network, reference_photos.open_features(form, spec))

    def measure(self, images: Iterable[bytes], on_image: Callable[[], None]) -> Measured:
        """Decodes encoded images and takes their features."""
        rules = photos.decode_rules(self.spec)
        pictures, features = [], []
        waiting = iter(images)
        while group := list(islice(waiting, _BATCH)):
            decoded = [decode(image, rules) for image in group]
            pictures += [each.picture for each in decoded if each.picture is not None]
            if self.features_of is not None:
                features.append(self.features_of([each.pixels for each in decoded]))
            for _ in group:
                on_image()
        return Measured(np.stack(pictures), np.concatenate(features) if features else None)

    def flagged(self, measured: Measured) -> int:
        """How many of these images are atypical."""
        rate = self.spec.typicality.false_alarms if self.spec.typicality else 0.0
        typicality = self.reference.typicality(measured.pictures, measured.features)
        return int((typicality <= np.float32(rate)).sum())
