"""Starts services one after another, and measures points of a curve on each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.load.http import upload
from lab.load.measurement import measure
from lab.paths import CACHE
from lab.scale.raw import Curve, Point
from lab.service.scratch import Edit, Scratch, scratch
from lab.service.service import Service
from pipelines import protocol
from pipelines.load import FOLDER

PIPELINE = protocol.DEFAULT_PIPELINE
"""Measured on every curve, and alone on most."""
MANY = 8
"""Callers where one would leave cores idle."""
OnStep = Callable[[str], None]


@dataclass
class Trial:
    """Starts services and measures; the points so far stay here."""

    repository: Path
    photos: Sequence[bytes]
    seconds: float
    """Of each point, after which nothing more is asked."""
    on_step: OnStep
    points: list[Point] = field(default_factory=list)

    def singles(self, pipeline: str = PIPELINE, member: str | None = None) -> list[bytes]:
        """A request for each photo."""
        path = path_of(pipeline) + (f"?{protocol.Parameter.MEMBER}={member}" if member else "")
        return [upload(path, [photo]) for photo in self.photos]

    def variant(self, edit: Edit) -> Scratch:
        """The pipeline with other facts."""
        return scratch(CACHE / "scale-variant", {PIPELINE: edit}, self.repository)

    @contextmanager
    def service(
        self,
        name: str,
        environment: Mapping[str, str] | None = None,
        *,
        place: Scratch | None = None,
        pipelines: Sequence[str] = (PIPELINE,),
    ) -> Iterator[Service]:
        """A running service.

        Args:
            name: for the person who waits.
            environment: of the gateway.
            place: specs and repository; None: the project's own.
            pipelines: what it serves.
        """
        self.on_step(f"{name}: starting")
        with Service(
            pipelines,
            place.repository if place else self.repository,
            log=CACHE / "logs" / "scale.log",
            environment=environment,
            specs=place.specs if place else FOLDER,
        ) as service:
            yield service

    def point(
        self,
        service: Service,
        curve: Curve,
        x: float,
        requests: Sequence[bytes],
        *,
        callers: int = 1,
        images_each: int = 1,
        setting: Mapping[str, str] | None = None,
        longer: float = 1,
    ) -> Point:
        """Asks a service, and keeps what came of it; `longer` than other points by a factor."""
        what = " ".join(f"{name}={value}" for name, value in (setting or {}).items())
        self.on_step(f"{curve} {x:g}, {callers} callers {what}".rstrip())
        found = measure(
            service,
            requests,
            concurrency=callers,
            seconds=self.seconds * longer,
            fewest=callers,
            # A batch was warmed by the smaller one before it.
            warm=min(callers, MANY) if images_each == 1 else 0,
        )
        point = Point(
            curve=curve,
            x=x,
            setting=what,
            callers=callers,
            images_each=images_each,
            bytes_each=sum(map(len, requests)) // len(requests),
            **asdict(found),
        )
        self.points.append(point)
        return point


def path_of(pipeline: str) -> str:
    """Of the URL that answers about one photo."""
    return f"/api/v1/pipelines/{pipeline}/predict"
