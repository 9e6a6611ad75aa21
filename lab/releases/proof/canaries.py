"""Labelled photos of plain colours, of four sites, and the candidates that are judged by them."""

import io
from dataclasses import dataclass
from pathlib import Path

import psutil
from PIL import Image

from lab.releases.proof.world import BLUE_BLIND, RED, SHUFFLED, World, network

SITES = ("north", "south", "east", "west")
_SIDE = 64
_CLEAR, _NONE = (220, 100, 100), (110, 100, 100)
_NEAR = (165, 100, 100)
"""Probability 0.55 by RED: positive at a threshold of 0.5, and not at one of 0.6."""
_BLUISH = (180, 100, 130)
"""Positive by RED, and not by BLUE_BLIND."""
_PALE = (180, 120, 110)
"""Negative by RED, and positive by BLUE_BLIND."""
POSITIVES, NEGATIVES = 300, 150
_OF_EACH = 12
"""Of 300: 4 points."""
FEW = 12
_MOST = 64
"""Instances that a member may have."""
_PROTOBUF_MIB = 1900


@dataclass(frozen=True)
class Candidate:
    """What is judged, and what is to come of it."""

    what: str
    expected: str
    few: bool = False


CURRENT, GOOD = "current", "as good (threshold 0.49)"
CANDIDATES = (
    Candidate(GOOD, "pass"),
    Candidate("labels shuffled", "fail"),
    Candidate("4 points less sensitivity (threshold 0.6)", "fail"),
    Candidate("worse at one site only", "fail"),
    Candidate("about 5 times the compute time", "fail"),
    Candidate("as good, 12 positives", "not enough evidence", few=True),
    Candidate("corrupt: one byte of its network is another", "refused"),
    Candidate("too large for memory", "refused"),
)


def make_releases(world: World) -> None:
    """Makes the current release and all candidates; the current one serves."""
    world.make(CURRENT, network=network())
    world.make(GOOD, threshold=0.49)
    world.make("as good, 12 positives", threshold=0.48)
    world.make("4 points less sensitivity (threshold 0.6)", threshold=0.6)
    world.make("labels shuffled", network=network(SHUFFLED))
    world.make("worse at one site only", network=network(BLUE_BLIND))
    world.make("about 5 times the compute time", network=network(RED, slow=True))
    world.make("corrupt: one byte of its network is another", network=network(RED))
    world.make(
        "too large for memory", network=network(RED, mebibytes=_too_large()), instances=_MOST
    )
    world.serve(CURRENT)


def _too_large() -> int:
    """MiB of weights of which so many instances take more than this machine has."""
    available = psutil.virtual_memory().available / 2**20
    return min(_PROTOBUF_MIB, int(1.3 * available / _MOST))


def write(folder: Path, *, few: bool = False) -> Path:
    """Writes the photos and `labels.csv` (file, label, site), whose path it gives."""
    folder.mkdir(parents=True)
    rows: list[tuple[tuple[int, int, int], str, str]] = []
    for number in range(FEW if few else POSITIVES):
        site = SITES[number % 4]
        colour = _CLEAR
        if not few and number < 4 * _OF_EACH and number % 4 == 1:
            colour = _BLUISH
        elif not few and number < 4 * _OF_EACH and number % 4 == 2:  # noqa: PLR2004
            colour = _PALE
        elif not few and 4 * _OF_EACH <= number < 5 * _OF_EACH:
            colour = _NEAR
        rows.append((colour, "cancer", site))
    rows += [(_NONE, "healthy", SITES[number % 4]) for number in range(NEGATIVES)]
    lines = ["file,label,site"]
    for number, (colour, label, site) in enumerate(rows):
        (folder / f"{number}.png").write_bytes(photo(colour, number))
        lines.append(f"{number}.png,{label},{site}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / "labels.csv"


def photo(colour: tuple[int, int, int] = _CLEAR, number: int = 0) -> bytes:
    """A PNG of one colour; its first pixels have the number, so that no two are copies."""
    image = Image.new("RGB", (_SIDE, _SIDE), colour)
    for place in range(12):
        shift = number >> place & 1
        image.putpixel((place, 0), (colour[0] + shift, colour[1] + shift, colour[2] + shift))
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()
