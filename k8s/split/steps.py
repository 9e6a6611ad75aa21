"""Gives a candidate a share of the callers step by step, promotes it, or rolls it back.

Run by the Job of overlays/split-steps in the gateway's image: nothing but Python's own modules.
"""

import json
import math
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

PARTS = 10_000
"""Of all callers, in which the gateway counts a share."""
DONE, ROLLED_BACK, UNDECIDED = 0, 1, 3
_LOOK_SECONDS = 60.0
_LOAD_SECONDS = 1800.0
_SEEN_SECONDS = 120.0
_ASK_SECONDS = 30.0


class StepsError(Exception):
    """It cannot go on; the message says why and what to do."""


class ConflictError(StepsError):
    """The gateway says that the releases cannot be changed so now."""


@dataclass(frozen=True)
class Judgement:
    """A figure that has to stay below a limit."""

    name: str
    query: str
    below: float


@dataclass(frozen=True)
class Plan:
    """What the environment asks for."""

    pipeline: str
    release: str
    percents: tuple[int, ...]
    step_seconds: float
    look_seconds: float
    gateway: str
    prometheus: str
    key: str
    judgements: tuple[Judgement, ...]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Plan":
        """Reads it, with the key and the judgements from their files.

        Raises:
            StepsError: a variable or a file is missing, or not as it must be.
        """
        try:
            namespace = environment["SPLIT_NAMESPACE"]
            told = json.loads(Path(environment["SPLIT_JUDGEMENTS_FILE"]).read_text("utf-8"))
            judgements = tuple(
                Judgement(
                    each["name"],
                    each["query"].replace("{{args.namespace}}", namespace),
                    each["below"],
                )
                for each in told
            )
            return cls(
                pipeline=environment["SPLIT_PIPELINE"],
                release=environment["SPLIT_RELEASE"],
                percents=tuple(map(int, environment["SPLIT_PERCENTS"].split(","))),
                step_seconds=60 * float(environment["SPLIT_STEP_MINUTES"]),
                look_seconds=float(environment.get("SPLIT_LOOK_SECONDS", _LOOK_SECONDS)),
                gateway=environment["SPLIT_GATEWAY"],
                prometheus=environment["SPLIT_PROMETHEUS"],
                key=Path(environment["SPLIT_KEY_FILE"]).read_text("utf-8").strip(),
                judgements=judgements,
            )
        except KeyError as error:
            raise StepsError(f"{error.args[0]}: it is missing") from None
        except (OSError, ValueError) as error:
            raise StepsError(f"the plan cannot be read: {error}") from None


def run(plan: Plan) -> int:
    """Goes on from where the pipeline is, so a Job that was interrupted can be started again.

    Returns:
        Its exit status: promoted, rolled back, or left as it is for a person to decide.

    Raises:
        StepsError: the gateway refuses a step, or cannot be asked.
    """
    state = _state(plan)
    if state["current"] == plan.release:
        _say(f"{plan.release} answers everybody already")
        return DONE
    if state["candidate"] != plan.release:
        _change(plan, "stage", {"release": plan.release})
    _await_loaded(plan)
    share = _state(plan)["share"]
    for percent in plan.percents:
        if percent * PARTS // 100 < share:
            continue
        _split(plan, percent * PARTS // 100)
        _say(f"{plan.release} answers {percent} % of the callers")
        if (ended := _watched(plan)) is not None:
            return ended
    said = ", ".join(each.name for each in plan.judgements)
    evidence = f"answered {plan.percents[-1]} % of the callers; held: {said}"
    _change(plan, "promote", {"release": plan.release, "evidence": evidence})
    _say(f"{plan.release} answers everybody")
    return DONE


def _split(plan: Plan, share: int) -> None:
    """Waits where the gateway that is asked now has not seen yet that the candidate is loaded."""
    give_up = time.monotonic() + _SEEN_SECONDS
    while True:
        try:
            _change(plan, "split", {"release": plan.release, "share": share})
        except ConflictError:
            if time.monotonic() > give_up:
                raise
        else:
            return
        time.sleep(min(plan.look_seconds, 5.0))


def _watched(plan: Plan) -> int | None:
    """Looks at the figures for as long as a step lasts; None where all of them held at its end."""
    until = time.monotonic() + plan.step_seconds
    while True:
        over = time.monotonic() >= until
        unknown = []
        for each in plan.judgements:
            value = _value(plan, each)
            if value is None:
                unknown.append(each.name)
            elif not value < each.below:
                return _rolled_back(
                    plan, f"{each.name} is {value:.3g}, and must stay below {each.below:g}"
                )
        if over and unknown:
            _say(
                f"too few answers for {', '.join(unknown)}: the share stays as it is. Start the "
                "Job again when there were more, or decide: split, promote or roll back"
            )
            return UNDECIDED
        if over:
            return None
        time.sleep(min(plan.look_seconds, max(0.0, until - time.monotonic())))


def _rolled_back(plan: Plan, why: str) -> int:
    if _state(plan)["candidate"] != plan.release:
        # To roll back now would undo what somebody else did.
        raise StepsError(f"{plan.release} is not the candidate any more, and {why}")
    _change(plan, "rollback", {"evidence": why})
    _say(f"rolled back: {why}")
    return ROLLED_BACK


def _await_loaded(plan: Plan) -> None:
    give_up = time.monotonic() + _LOAD_SECONDS
    while plan.release not in _state(plan)["loaded"]:
        if time.monotonic() > give_up:
            raise StepsError(
                f"{plan.release} is not loaded after {_LOAD_SECONDS:.0f} s: Triton's log, or "
                "/releases on its port 8003, says why"
            )
        time.sleep(min(plan.look_seconds, 5.0))


def _state(plan: Plan) -> dict[str, Any]:
    states = _ask(f"{plan.gateway}/api/v1/releases", plan.key)["releases"]
    for state in states:
        if state["pipeline"] == plan.pipeline:
            found: dict[str, Any] = state
            return found
    raise StepsError(f"{plan.pipeline}: the gateway has no such pipeline for this key")


def _change(plan: Plan, action: str, body: dict[str, Any]) -> None:
    url = f"{plan.gateway}/api/v1/releases/{plan.pipeline}/{action}"
    _ask(url, plan.key, json.dumps(body).encode())


def _value(plan: Plan, judgement: Judgement) -> float | None:
    """What Prometheus says; None where it has no value, as in a quiet hour, or no answer."""
    query = urllib.parse.urlencode({"query": judgement.query})
    try:
        result = _ask(f"{plan.prometheus}/api/v1/query?{query}")["data"]["result"]
        value = float(result[0]["value"][1]) if result else math.nan
    except (StepsError, LookupError, TypeError, ValueError) as error:
        _say(f"{judgement.name}: Prometheus has not answered it: {error}")
        return None
    return None if math.isnan(value) else value


def _ask(url: str, key: str = "", body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
    request = urllib.request.Request(url, body)  # noqa: S310 - the plan's
    if key:
        request.add_header("X-API-Key", key)
    if body:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = error.read(2000).decode("utf-8", "replace")
        kind = ConflictError if error.code == HTTPStatus.CONFLICT else StepsError
        raise kind(f"{url.partition('?')[0]}: {error.code}: {said}") from None
    except (OSError, ValueError) as error:
        raise StepsError(f"{url.partition('?')[0]}: {error}") from None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Makes all steps; ends with 2 where it cannot go on, and the share stays as it is."""
    try:
        return run(Plan.read(os.environ))
    except StepsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
