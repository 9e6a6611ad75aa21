"""The answers of the unloaded service, which those under load are held against."""

from collections.abc import Sequence

from loadtest.photos import Photo
from loadtest.verdict import Verdict


class Reference:
    """Verdicts by the name of their photo."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Verdict] = {}

    def learn(self, photo: Photo, verdict: Verdict) -> None:
        """Takes the first answer as the right one."""
        self._verdicts.setdefault(photo.name, verdict)

    def fault(self, photos: Sequence[Photo], verdicts: Sequence[Verdict]) -> str:
        """What is wrong with the answers; empty where nothing is."""
        if len(photos) != len(verdicts):
            return f"{len(verdicts)} answers to {len(photos)} photos"
        for photo, verdict in zip(photos, verdicts, strict=True):
            if verdict.differs(self._verdicts[photo.name]):
                return f"{photo.name}: not the answer of the unloaded service"
        return ""
