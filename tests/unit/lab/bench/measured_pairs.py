"""Pairs of a compare, as if they had been measured."""

from lab.load.measurement import Measured
from lab.tune.paired_comparison import Pair


def asked(rate):
    return Measured(
        requests=round(rate * 10),
        refused=0,
        errors={},
        seconds=10.0,
        p50_ms=1.0,
        p99_ms=2.0,
        cpu_seconds={},
        generator_cpu_seconds=0.0,
        pss_mib={},
    )


def pairs(callers, gains):
    """One before and one after of each gain."""
    return tuple(Pair(callers, asked(10_000), asked(10_000 * gain)) for gain in gains)
