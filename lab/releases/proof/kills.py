"""SIGKILL of the gateway, of the launcher and of the command at each step of a candidate's life."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lab.releases.proof.canaries import CURRENT, GOOD, photo
from lab.releases.proof.load import Load
from lab.releases.proof.service import Running

GATEWAY, LAUNCHER, COMMAND = "gateway", "launcher", "command"
VICTIMS = (GATEWAY, COMMAND, LAUNCHER)
STEPS = ("stage", "shadow", "split", "promote", "rollback", "retire")
_SUBJECTS = 40
_SHARE = "50"


@dataclass
class Killed:
    """What followed one SIGKILL."""

    step: str
    victim: str
    after: float
    """Seconds from the start of the command to the kill."""
    stands: bool
    """Whether the history has the change, before the command was run again."""
    current: str
    """As the history says: old or new."""
    answered: str
    """By which releases, once both gateways answered again: old, new, or old and new."""
    seconds: float
    """Until both gateways answered as the history says."""
    failures: Counter[str]
    """Requests without an answer meanwhile, by gateway."""
    passed: bool


def run(service: Running, on_step: Callable[[str], None]) -> list[Killed]:
    """Kills each victim once at each step, at a random moment of the command.

    Raises:
        LabError: nothing serves any more, or a command fails that nobody killed.
    """
    draw = random.Random(22)  # noqa: S311 - no secret
    found = []
    for victim in VICTIMS:
        lasted = 1.0
        for step in STEPS:
            words = _words(service, step)
            found.append(_kill(service, step, words, victim, lasted * draw.uniform(0.3, 1.1)))
            on_step(f"{step}, {victim}: {found[-1].answered} answers")
            if not found[-1].stands:
                service.must(*words)
            began = time.monotonic()
            service.history()
            # How long a command takes now, beside whatever else runs here.
            lasted = time.monotonic() - began
    return found


def _words(service: Running, step: str) -> list[str]:
    new = service.world.ids[GOOD]
    more = {
        "stage": [new],
        "shadow": ["100"],
        "split": [_SHARE],
        "promote": ["--without-gate", "a measurement"],
        "rollback": [],
        "retire": [new],
    }
    return [step, *more[step]]


def _kill(service: Running, step: str, words: list[str], victim: str, after: float) -> Killed:
    before = len(service.history())
    names = {service.world.ids[CURRENT]: "old", service.world.ids[GOOD]: "new"}
    with Load(service.doors, photo(), _SUBJECTS) as load:
        command = service.begin(*words)
        time.sleep(after)
        if victim == COMMAND:
            command.kill()
        elif victim == GATEWAY:
            service.own_gateway().kill()
        else:
            service.server.tree.process.kill()
        killed = time.monotonic()
        command.communicate(timeout=600)
        if victim == LAUNCHER:
            service.server.stop()
            service.server.start()
        rows = service.history()
        state = rows[0] if rows else {"current": service.world.ids[CURRENT], "share": None}
        expected = {state["current"]}
        if state["share"]:
            expected.add(state["candidate"])
        service.until(lambda: service.answers() == expected)
        wanted = {state["current"], state.get("candidate"), state.get("former")} - {None}
        service.until(lambda: wanted <= {*service.loaded()})
        answered = service.answers() or set()
        seconds = time.monotonic() - killed
    doors = ["first" if each.worker < 2 else "second" for each in load.failures]  # noqa: PLR2004
    # Two rows where the step is the first change of all: what served before, and the change.
    stands = len(rows) > before
    failures = Counter(doors)
    unhurt = victim == LAUNCHER or not failures["second"]
    if victim == COMMAND:
        unhurt = not failures
    return Killed(
        step=step,
        victim=victim,
        after=after,
        stands=stands,
        current=names[str(state["current"])],
        answered=" and ".join(sorted((names[each] for each in answered), reverse=True)),
        seconds=seconds,
        failures=failures,
        passed=unhurt and answered == expected,
    )
