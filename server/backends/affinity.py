"""Binds a process's thread to one CPU core."""

import os


def pin_to_own_core(number: int, processes: int) -> None:
    """Keeps the calling thread on one core, where there are as many processes as cores.

    Linux lets a core idle for milliseconds while two busy threads share the other one: for that
    long it takes a thread that ran a moment ago to be better off where it is. Gateway and Triton
    wake up often between the processes that compute, so that this took 5 % of the images a second.

    Args:
        number: this process's among them, from 0.
        processes: how many there are.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == processes > 1:
        os.sched_setaffinity(0, {cores[number]})
