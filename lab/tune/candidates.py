"""The settings to measure: one parameter at a time, starting from the best so far."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from lab.tune.setting import CALLS, MemberSetting, Setting, Shape

_BATCHES = (1, 4, 8, 16)
_DELAYS = (0, 1000, 5000)
_DECISIONS = (1, 2, 4)
_CALLS = (2, 4, 8)


@dataclass(frozen=True)
class Candidate:
    """One knob turned."""

    what: str
    setting: Setting


Knob = Callable[[Setting], Iterator[Candidate]]
"""The candidates of one knob, beside a setting; those that it is already are left out."""


def shapes(cores: int) -> list[Shape]:
    """Processes x threads that use all cores, and those that leave half to others."""
    whole = [Shape(n, cores // n) for n in range(1, cores + 1) if cores % n == 0]
    half = cores // 2
    return whole + [Shape(n, half // n) for n in range(1, half + 1) if half % n == 0]


def knobs(members: Sequence[str], cores: int, most: int, *, one_process: bool) -> list[Knob]:
    """All knobs in the order to turn them: what costs most comes first.

    Args:
        members: of the pipeline, the heaviest first.
        cores: of the machine.
        most: images of one request to Triton at most.
        one_process: whether the decision step does all, so that nothing else has processes.
    """
    if one_process:
        return [_of_decisions, *(_of_batch(name, most) for name in members), _of_calls, _of_delay]
    found: list[Knob] = []
    for name in members:
        found.append(_of_shape(name, cores))
        found.append(_of_batch(name, most))
    return [*found, _of_decode(cores), _of_calls, _of_delay, _of_decisions]


def _member(setting: Setting, name: str, changed: MemberSetting) -> Setting:
    return replace(setting, members={**setting.members, name: changed})


def _of_shape(name: str, cores: int) -> Knob:
    def candidates(now: Setting) -> Iterator[Candidate]:
        member = now.members[name]
        for shape in shapes(cores):
            if shape != member.shape:
                changed = _member(now, name, replace(member, shape=shape))
                yield Candidate(f"{name} {shape} (processes x threads)", changed)

    return candidates


def _of_batch(name: str, most: int) -> Knob:
    def candidates(now: Setting) -> Iterator[Candidate]:
        member = now.members[name]
        # 0: images keep their sizes, and none shares a batch with another.
        for size in [size for size in _BATCHES if size <= most and member.max_batch]:
            if size != member.max_batch:
                changed = _member(now, name, replace(member, max_batch=size))
                yield Candidate(f"{name} batches of at most {size}", changed)

    return candidates


def _of_decode(cores: int) -> Knob:
    def candidates(now: Setting) -> Iterator[Candidate]:
        for shape in shapes(cores):
            if shape != now.decode:
                yield Candidate(f"decode {shape}", replace(now, decode=shape))

    return candidates


def _of_calls(now: Setting) -> Iterator[Candidate]:
    for calls in _CALLS:
        if calls != now.calls:
            yield Candidate(f"{CALLS}={calls}", replace(now, calls=calls))


def _of_delay(now: Setting) -> Iterator[Candidate]:
    for delay in _DELAYS:
        if delay != now.delay_us:
            yield Candidate(f"queue delay {delay} us", replace(now, delay_us=delay))


def _of_decisions(now: Setting) -> Iterator[Candidate]:
    for count in _DECISIONS:
        if count != now.decisions:
            yield Candidate(f"decision in {count} processes", replace(now, decisions=count))
