"""The description of the measuring machine in reports."""

import os
import platform
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

CORES = len(os.sched_getaffinity(0))
"""Cores that this process may use."""
_CPUINFO = Path("/proc/cpuinfo")


class Machine(BaseModel):
    """What a run was measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load_average: float
    """Of the last minute before the run: what others did."""


def describe() -> Machine:
    """This machine, right now."""
    lines = _CPUINFO.read_text("utf-8").splitlines() if _CPUINFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        cpu=names[0] if names else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        load_average=os.getloadavg()[0],
    )
