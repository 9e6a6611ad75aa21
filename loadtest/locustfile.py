"""The entry point for Locust: users, options, and the check of the budgets at the end.

`python -m loadtest run` starts it, and so does
`locust -f loadtest/locustfile.py --headless --host http://127.0.0.1:8080`.
"""

import grpc.experimental.gevent
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import Runner

from loadtest.budgets import BUDGETS
from loadtest.photos import SAMPLES
from loadtest.target import gateway_grpc
from loadtest.trial import Trial
from loadtest.users import (
    BatchClient,
    GrpcClient,
    IntegrationEngine,
    RandomArrivals,
    ScreeningClinic,
)
from pipelines.protocol import DEFAULT_PIPELINE

__all__ = ["BatchClient", "GrpcClient", "IntegrationEngine", "RandomArrivals", "ScreeningClinic"]

grpc.experimental.gevent.init_gevent()


def _add_options(parser: LocustArgumentParser) -> None:
    """What a run is told beyond Locust's own options, each also by an environment variable."""
    parser.add_argument(
        "--pipeline",
        env_var="LOADTEST_PIPELINE",
        default=DEFAULT_PIPELINE,
        help="The pipeline to use.",
    )
    parser.add_argument(
        "--grpc",
        env_var="LOADTEST_GRPC",
        default=gateway_grpc(),
        help="Host and port of the gateway's gRPC.",
    )
    parser.add_argument(
        "--api-key",
        env_var="LOADTEST_API_KEY",
        default="",
        is_secret=True,
        include_in_web_ui=False,
        help="The API key, if the gateway needs one.",
    )
    parser.add_argument(
        "--photos",
        env_var="LOADTEST_PHOTOS",
        default=str(SAMPLES),
        help="Folder of the images that are sent.",
    )
    parser.add_argument(
        "--rate",
        env_var="LOADTEST_RATE",
        type=float,
        default=0,
        help="Studies that each user of an open loop sends in a second; 0: a tenth of what one "
        "caller at a time gets from the unloaded service.",
    )
    parser.add_argument(
        "--studies",
        env_var="LOADTEST_STUDIES",
        type=int,
        default=5000,
        help="The run ends when so many studies were begun, if not before.",
    )
    parser.add_argument(
        "--budgets", env_var="LOADTEST_BUDGETS", default=str(BUDGETS), help="The budgets' YAML."
    )
    parser.add_argument(
        "--summary",
        env_var="LOADTEST_SUMMARY",
        default="loadtest-results/summary.json",
        help="File that the figures and broken budgets are written to.",
    )
    parser.add_argument(
        "--allow-remote",
        env_var="LOADTEST_ALLOW_REMOTE",
        action="store_true",
        help="Load a service that is not on this machine.",
    )


def _begin(environment: Environment, runner: Runner, **_: object) -> None:
    Trial(environment, runner).begin()


events.init_command_line_parser.add_listener(_add_options)
events.init.add_listener(_begin)
