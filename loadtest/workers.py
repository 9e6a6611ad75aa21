"""Messages between the processes of a distributed run, so that no study is lost between them.

Locust's master leaves as soon as it has told its workers to quit. Here it first asks them to finish
what is under way, and waits for their last counts.
"""

from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import WORKER_REPORT_INTERVAL, MasterRunner, WorkerRunner

from loadtest.sender import Sender

_FINISH, _FINISHED, _LEDGER = "loadtest_finish", "loadtest_finished", "loadtest_ledger"
_PATIENCE_SECONDS = 360


def work(environment: Environment, runner: WorkerRunner, prepare: Callable[[], None]) -> None:
    """Makes a worker of this process; `prepare` runs when the master's options are known."""

    def start(**_: object) -> None:
        prepare()

    def report(data: dict[str, Any], **_: object) -> None:
        if hasattr(Sender, "session"):
            data[_LEDGER] = Sender.session.ledger.snapshot()

    def finish(**_: object) -> None:
        runner.stop()
        # The last counts and times go with the next report.
        gevent.sleep(2 * WORKER_REPORT_INTERVAL)
        runner.send_message(_FINISHED)

    environment.events.test_start.add_listener(start)
    environment.events.report_to_master.add_listener(report)
    runner.register_message(_FINISH, finish, concurrent=True)


def lead(environment: Environment, runner: MasterRunner) -> None:
    """Makes a master of this process, which knows the studies of all workers."""
    finished: set[str] = set()
    changed = Event()

    def update_ledger(client_id: str, data: dict[str, Any]) -> None:
        if _LEDGER in data:
            Sender.session.ledger.update_worker(client_id, data[_LEDGER])

    def note(msg: Message, **_: object) -> None:
        finished.add(msg.node_id)
        changed.set()

    def finish(**_: object) -> None:
        runner.send_message(_FINISH)
        with gevent.Timeout(_PATIENCE_SECONDS, False):
            while not {client.id for client in runner.clients.running} <= finished:
                changed.wait()
                changed.clear()

    environment.events.worker_report.add_listener(update_ledger)
    environment.events.test_stopping.add_listener(finish)
    runner.register_message(_FINISHED, note)
