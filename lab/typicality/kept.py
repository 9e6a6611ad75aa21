"""Keeps drawings and what was measured of them on disk, so that an interrupted run can go on."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.typicality.images import Draw
from pipelines import atomic_write


@dataclass(frozen=True)
class Measured:
    """What decoding and a network tell of N images; no reference has a part in it."""

    pictures: NDArray[np.float32]
    """Their statistics, [N, 34]."""
    features: NDArray[np.float32] | None
    """The network's, [N, D]; None where it has none."""


@dataclass(frozen=True)
class Kept:
    """A folder of drawings and measurements."""

    folder: Path

    @classmethod
    def begin(cls, folder: Path, *, resume: bool) -> "Kept":
        """The folder, emptied first unless an interrupted run is to be resumed."""
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        return cls(folder)

    def drawing(self, group: str, draw: Draw) -> Draw:
        """Draws an image of a group only where it was not drawn before."""

        def kept(number: int) -> bytes:
            path = self.folder / "drawings" / group / f"{number:04}.jpg"
            if not path.is_file():
                atomic_write.write_bytes(path, draw(number))
            return path.read_bytes()

        return kept

    def measured(self, network: str, group: str) -> Measured | None:
        """What a network tells of a group; None where it was not measured yet."""
        path = self._place(network, group)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return Measured(arrays["pictures"], arrays.get("features"))

    def keep(self, network: str, group: str, measured: Measured) -> None:
        """Keeps what a network tells of a group."""
        arrays = {"pictures": measured.pictures}
        if measured.features is not None:
            arrays["features"] = measured.features
        place = self._place(network, group)
        with atomic_write.replacing(place) as beside, beside.open("wb") as file:
            np.savez(file, **arrays)

    def _place(self, network: str, group: str) -> Path:
        return self.folder / "measured" / network / f"{group}.npz"
