"""The kinds of users: a clinic, an integration engine, a batch client and so on."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import gevent
from locust import between, constant, task
from locust.env import Environment

from loadtest import arrivals
from loadtest.gateway_grpc import GatewayGrpc
from loadtest.gateway_http import GatewayHttp
from loadtest.photos import Photo
from loadtest.reply import Reply
from loadtest.sender import CHANCE, Concurrent, OpenLoop, Sender
from loadtest.study import Patience


class OverHttp(Sender):
    """Sends over HTTP."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._http = GatewayHttp(self.session.target)


class ScreeningClinic(OverHttp):
    """A nurse sends each photo of a patient as it is taken, then calls the next patient."""

    kind, transport = "screening_clinic", "form"
    patience = Patience(attempts=4)
    wait_time = between(3, 8)

    def ask(self, photos: Sequence[Photo]) -> Reply:
        """A multipart form, with the details that a person reads."""
        return self._http.form(photos[0])

    @task
    def see_patient(self) -> None:
        """A burst of photos, about a second apart."""
        for _ in range(CHANCE.randint(2, 6)):
            self.send(self.pick())
            gevent.sleep(CHANCE.uniform(0.5, 1.5))


class IntegrationEngine(OverHttp, OpenLoop):
    """Passes studies on at a steady rate, and may lose none: it is patient and keeps count."""

    kind, transport = "integration_engine", "json"
    patience = Patience(attempts=10)

    def ask(self, photos: Sequence[Photo]) -> Reply:
        """JSON with base64."""
        return self._http.json(photos[0])

    def gaps(self) -> Iterator[float]:
        """As steady as a clock."""
        return arrivals.constant(self.session.rate)


class RandomArrivals(OverHttp, OpenLoop):
    """Many people who know nothing of each other: arrivals as of a Poisson process."""

    kind, transport = "random_arrivals", "raw"
    patience = Patience(attempts=4)

    def ask(self, photos: Sequence[Photo]) -> Reply:
        """The image's bytes alone."""
        return self._http.raw(photos[0])

    def gaps(self) -> Iterator[float]:
        """Exponential."""
        return arrivals.poisson(self.session.rate, CHANCE)


class BatchClient(OverHttp):
    """Sends a folder at a time, some time after the answer to the last one."""

    kind, transport = "batch_client", "batch"
    patience = Patience(attempts=6)
    wait_time = between(5, 10)
    folder: ClassVar[int] = 6
    """Photos in it."""

    def ask(self, photos: Sequence[Photo]) -> Reply:
        """One form with all photos."""
        return self._http.batch(photos)

    def pick(self) -> list[Photo]:
        """A folder's photos."""
        return CHANCE.choices(self.session.photos, k=self.folder)

    @task
    def send_folder(self) -> None:
        """Each photo of it must be answered right."""
        self.send(self.pick())


class GrpcClient(Concurrent):
    """Sends as fast as answers come: a few studies are under way at any time."""

    kind, transport = "grpc_client", "grpc"
    patience = Patience(attempts=6)
    wait_time = constant(0)
    at_most = 4

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._grpc = GatewayGrpc(self.session.target, self.session.classes)

    def on_stop(self) -> None:
        """Waits for what is under way, then leaves."""
        super().on_stop()
        self._grpc.close()

    def ask(self, photos: Sequence[Photo]) -> Reply:
        """One ModelInfer."""
        return self._grpc.ask(photos[0])

    @task
    def keep_busy(self) -> None:
        """Waits for a place, then sends."""
        self.begin()
