"""Simulated servers of known capacity: what becomes of a schedule, without waiting for it."""

import heapq
import itertools

from lab.load.scheduled import End


def served(gaps, work, servers=1, late=None):
    """What `lab.load` would say, where so many servers take requests as they come.

    `work` are the seconds of each request, `late` those by which the generator sends each.
    """
    due = list(itertools.accumulate(gaps, initial=0.0))
    late = late or [0.0] * len(due)
    free = [0.0] * servers
    took = []
    for moment, behind, seconds in zip(due, late, work, strict=False):
        begins = max(moment + behind, heapq.heappop(free))
        heapq.heappush(free, begins + seconds)
        took.append(begins + seconds - moment)
    return record(took, late=late, due=due)


def record(took, end=None, late=None, due=None, **changed):
    """As `lab.load` answers."""
    return {
        "due": due or [0.01 * index for index in range(len(took))],
        "late": late or [0.0] * len(took),
        "took": took,
        "end": end or [End.ANSWERED] * len(took),
        "reason": None,
        "stopped": False,
        "pending": 0,
        "generator_cpu_seconds": 0.1,
        **changed,
    }
