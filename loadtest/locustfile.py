"""What Locust loads: the users, their options, and the judgement at the end.

`python -m loadtest` runs it against a service of its own; so does
`locust -f loadtest/locustfile.py --headless --host http://127.0.0.1:8080`.
"""

import grpc.experimental.gevent
from locust import events
from locust.env import Environment
from locust.runners import Runner

from loadtest.options import add_options
from loadtest.trial import Trial
from loadtest.users import (
    BatchClient,
    GrpcClient,
    IntegrationEngine,
    RandomArrivals,
    ScreeningClinic,
)

__all__ = ["BatchClient", "GrpcClient", "IntegrationEngine", "RandomArrivals", "ScreeningClinic"]

grpc.experimental.gevent.init_gevent()


def _begin(environment: Environment, runner: Runner, **_: object) -> None:
    Trial(environment, runner).begin()


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(_begin)
