"""Which core a thread may run on; in a thread of its own, as Linux keeps that by thread."""

import os
from concurrent.futures import ThreadPoolExecutor

from server.backends.affinity import pin_to_own_core

CORES = sorted(os.sched_getaffinity(0))


def pinned(number, processes):
    def run():
        pin_to_own_core(number, processes)
        return os.sched_getaffinity(0)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def test_each_of_as_many_processes_as_cores_has_its_own():
    found = [pinned(number, len(CORES)) for number in range(len(CORES))]
    assert found == [{core} for core in CORES]
    assert os.sched_getaffinity(0) == set(CORES)


def test_fewer_or_more_processes_are_left_where_they_are():
    for processes in (1, len(CORES) + 1):
        assert pinned(0, processes) == set(CORES)
