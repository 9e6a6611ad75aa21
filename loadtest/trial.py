"""One run of Locust, from the unloaded service to the check of budgets; alone or with workers."""

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner
from rich.console import Console

from loadtest import summary, workers
from loadtest.budgets import read_budgets
from loadtest.errors import LoadtestError
from loadtest.interrupt import interrupt_here
from loadtest.judgement import Figures, judge_users
from loadtest.ledger import Account
from loadtest.photos import read_photos
from loadtest.sender import Sender
from loadtest.session import Session
from loadtest.target import Target, refuse_remote

_STOP_SECONDS = 300
"""How long studies under way may take to end: no call is cut off."""
_UNLOADED_SHARE = 0.1
"""Of the rate of one caller at a time: what each open loop sends."""
_WARM_UP, _ASKS = 1, 9
_PROGRESS_SECONDS = 10
_CANNOT = 2


class Trial:
    """Listens to what Locust does, and says how it went."""

    def __init__(self, environment: Environment, runner: Runner) -> None:
        self._environment, self._runner = environment, runner
        self._options: Any = environment.parsed_options
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def begin(self) -> None:
        """Prepares; ends the process with 2 where the service cannot be judged."""
        self._environment.stop_timeout = _STOP_SECONDS
        interrupt_here()
        if isinstance(self._runner, WorkerRunner):
            workers.work(self._environment, self._runner, self._open_session)
            return
        try:
            self._prepare()
        except LoadtestError as error:
            for line in str(error).splitlines():
                self._console.print(f"error: {line}", markup=False)
            sys.exit(_CANNOT)
        if isinstance(self._runner, MasterRunner):
            workers.lead(self._environment, self._runner)
        self._environment.events.quitting.add_listener(self._judge)
        gevent.spawn(self._watch)

    @property
    def _kinds(self) -> Sequence[type[Sender]]:
        return [kind for kind in self._environment.user_classes if issubclass(kind, Sender)]

    def _prepare(self) -> None:
        options, url = self._options, self._environment.host
        if not url:
            raise LoadtestError("no service was named; give its address with --host")
        if not options.allow_remote:
            refuse_remote(url, options.grpc)
        self._budgets = read_budgets(Path(options.budgets))
        for kind in self._kinds:
            if kind.kind not in self._budgets.users:
                raise LoadtestError(f"{options.budgets}: users: has no budget for {kind.kind}")
        self._open_session()
        self._unloaded = {
            kind.kind: _unloaded_median(kind(self._environment)) for kind in self._kinds
        }
        if not options.rate:
            # The workers are sent it with the other options.
            options.rate = round(_UNLOADED_SHARE / min(self._unloaded.values()), 3)
        Sender.session.rate = options.rate
        self._say(f"the service was asked unloaded; each open loop sends {options.rate:g}/s")

    def _open_session(self) -> None:
        options = self._options
        url = (self._environment.host or "").rstrip("/")
        target = Target(url, options.grpc, options.pipeline, options.api_key or None)
        photos = read_photos(Path(options.photos))
        Sender.session = Session.begin(target, photos, options.rate)

    def _watch(self) -> None:
        while True:
            gevent.sleep(_PROGRESS_SECONDS)
            accounts = Sender.session.ledger.total().values()
            begun = sum(account.begun for account in accounts)
            self._say(
                f"{begun} studies, {sum(account.answered for account in accounts)} answered, "
                f"{sum(account.wrong for account in accounts)} wrong, "
                f"{sum(account.refused for account in accounts)} refusals"
            )
            if begun >= self._options.studies:
                self._say("the number of studies is reached")
                self._runner.quit()
                return

    def _judge(self, environment: Environment, **_: object) -> None:
        # After Ctrl-C, users are still there.
        self._runner.stop()
        figures = {kind.kind: self._figures(kind) for kind in self._kinds}
        breaches = judge_users(self._budgets.users, figures)
        document = {
            "machine": summary.machine(),
            "pipeline": self._options.pipeline,
            "rate": self._options.rate,
            "users": {kind: measured.document() for kind, measured in figures.items()},
            "breaches": summary.documents(breaches),
        }
        summary.write_json(Path(self._options.summary), document)
        summary.show(figures, breaches, self._console)
        environment.process_exit_code = 1 if breaches else 0

    def _figures(self, kind: type[Sender]) -> Figures:
        entry = self._environment.stats.get(kind.kind, kind.transport)
        p50, p99 = (
            float(entry.get_response_time_percentile(share)) if entry.num_requests else None
            for share in (0.5, 0.99)
        )
        account = Sender.session.ledger.total().get(kind.kind, Account())
        return Figures(account, self._unloaded[kind.kind] * 1000, p50, p99)

    def _say(self, text: str) -> None:
        self._console.print(f"loadtest: {text}", markup=False)


def _unloaded_median(user: Sender) -> float:
    """Median seconds of one kind's question, asked one at a time.

    Raises:
        LoadtestError: a question has no right answer.
    """
    seconds = []
    for _ in range(_WARM_UP + _ASKS):
        photos = user.pick()
        start = time.perf_counter()
        reply = user.ask(photos)
        seconds.append(time.perf_counter() - start)
        fault = reply.fault or user.session.reference.fault(photos, reply.predictions)
        if fault:
            raise LoadtestError(
                f"{user.kind}: no right answer from the unloaded service ({fault}); see its log"
            )
    user.on_stop()
    return statistics.median(seconds[_WARM_UP:])
