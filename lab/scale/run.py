"""Measures all curves in turn, each on a newly started service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.settings import Settings
from lab.load import photos
from lab.load.http import upload
from lab.paths import CACHE
from lab.scale import loaded_pipelines, photo_sizes
from lab.scale.raw import Curve, Point, Served, Started
from lab.scale.trial import MANY, PIPELINE, Trial, path_of
from lab.service.scratch import Scratch
from pipelines.load import load_spec

_CROWD = 32
"""Callers who fill every batch."""
_SMALL_BATCH = 4


@dataclass(frozen=True)
class Extent:
    """How far each curve goes."""

    megapixels: tuple[float, ...] = (0.1, 0.3, 1, 3, 12, 24, 40)
    batches: tuple[int, ...] = (1, 4, 16, 17, 32, 64)
    concurrency: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    seconds: float = 3.0
    """Of each point, after which nothing more is asked."""


QUICK = Extent((0.3, 3), (1, 16), (1, 8, 160), 0.5)


@dataclass
class Run:
    """Measures everything."""

    repository: Path
    pipelines: Sequence[str]
    extent: Extent
    on_step: Callable[[str], None]
    starts: list[Started] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    series: dict[str, int] = field(default_factory=dict)
    lightest: str = ""

    def __post_init__(self) -> None:
        folder = photos.ensure(CACHE / "photos-640x480")
        kept = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
        self._trial = Trial(self.repository, kept, self.extent.seconds, self.on_step)

    @property
    def points(self) -> list[Point]:
        """All so far."""
        return self._trial.points

    @property
    def photo_bytes(self) -> int:
        """Of a photo, on average."""
        return sum(map(len, self._trial.photos)) // len(self._trial.photos)

    def all(self) -> None:
        """Everything.

        Raises:
            LabError: a service does not start.
            ExportError: a pipeline cannot be had.
        """
        cost = self._callers()
        self.lightest = min(cost, key=lambda name: cost[name])
        self._light()
        self._callers_explained(max(cost, key=lambda name: cost[name]))
        self._batch()
        self._size()
        self._pipelines()

    def _callers(self) -> dict[str, float]:
        """More callers; the CPU milliseconds that each member takes for an image."""
        requests = self._trial.singles()
        with self._trial.service("callers") as service:
            for callers in self.extent.concurrency:
                last = self._trial.point(
                    service, Curve.CONCURRENCY, callers, requests, callers=callers
                )
            self.series = loaded_pipelines.series(service)
        return {name: last.cpu_ms(name) for name in load_spec(PIPELINE).answering_members}

    def _light(self) -> None:
        """The lightest member alone, as fast as all the other processes can."""
        requests = self._trial.singles(member=self.lightest)
        with self._trial.service("the lightest member") as service:
            for callers in (1, MANY, _CROWD):
                # CPU time comes in steps of 10 ms, which only many images divide.
                self._trial.point(
                    service, Curve.LIGHT, callers, requests, callers=callers, longer=3
                )

    def _callers_explained(self, heaviest: str) -> None:
        """Without the limit of admission, and with other batches of the heaviest member."""
        requests = self._trial.singles()
        limit = Settings.model_fields["max_in_flight"].default
        beyond = [callers for callers in self.extent.concurrency if callers > limit]
        for callers in beyond[:1]:
            setting = {"GATEWAY_MAX_IN_FLIGHT": str(2 * callers)}
            with self._trial.service("callers, none refused", setting) as service:
                self._trial.point(
                    service,
                    Curve.CONCURRENCY,
                    callers,
                    requests,
                    callers=callers,
                    setting=setting,
                )
        spec = load_spec(PIPELINE)
        most = spec.serving.max_batch
        other = most if spec.max_batch(heaviest) < most else _SMALL_BATCH

        def change(facts: dict[str, Any]) -> None:
            facts["members"][heaviest]["max_batch"] = other

        setting = {f"members.{heaviest}.max_batch": str(other)}
        with self._trial.service("other batches", place=self._trial.variant(change)) as service:
            self._trial.point(
                service, Curve.CONCURRENCY, _CROWD, requests, callers=_CROWD, setting=setting
            )

    def _batch(self) -> None:
        with self._trial.service("batch") as service:
            for size in self.extent.batches:
                self._trial.point(
                    service, Curve.BATCH, size, [self._batch_of(size)], images_each=size
                )
        most = max(self.extent.batches)
        setting = {"GATEWAY_BATCH_CONCURRENCY": str(most)}
        with self._trial.service("batch, all at once", setting) as service:
            self._trial.point(
                service,
                Curve.BATCH,
                most,
                [self._batch_of(most)],
                images_each=most,
                setting=setting,
            )

    def _batch_of(self, size: int) -> bytes:
        kept = self._trial.photos
        chosen = [kept[each % len(kept)] for each in range(size)]
        return upload(f"{path_of(PIPELINE)}/batch", chosen, "files")

    def _size(self) -> None:
        requests = {}
        for megapixels in self.extent.megapixels:
            self.on_step(f"size: a photo of {megapixels:g} megapixels")
            data = photo_sizes.photo(megapixels, PIPELINE, self._trial.photos[0], CACHE / "sizes")
            requests[megapixels] = [upload(path_of(PIPELINE), [data])]
        with self._trial.service("size") as service:
            for callers in (1, MANY):
                for megapixels, request in requests.items():
                    self._trial.point(service, Curve.SIZE, megapixels, request, callers=callers)

        def one_thread(facts: dict[str, Any]) -> None:
            facts["serving"]["decode"] = {"instances": 1, "threads": 1}

        largest, setting = max(requests), {"serving.decode.threads": "1"}
        place = self._trial.variant(one_thread)
        with self._trial.service("one thread decodes", place=place) as service:
            self._trial.point(
                service, Curve.SIZE, largest, requests[largest], callers=MANY, setting=setting
            )

    def _pipelines(self) -> None:
        place = Scratch(CACHE / "stand-ins")
        for name in self.pipelines:
            self.served.append(loaded_pipelines.take(name, place, self.repository, self.on_step))
        for count in range(1, len(self.pipelines) + 1):
            names = self.pipelines[:count]
            with self._trial.service(f"{count} pipelines", place=place, pipelines=names) as service:
                memory, seconds = service.pss_mib(), service.start_seconds
                self.starts.append(Started(pipelines=count, seconds=seconds, pss_mib=memory))
                asked = self._trial.singles(names[0])
                self._trial.point(service, Curve.PIPELINES, count, asked, callers=MANY)
                each = [upload(path_of(name), self._trial.photos[:1]) for name in names]
                self._trial.point(service, Curve.TOGETHER, count, each, callers=MANY)
