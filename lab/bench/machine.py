"""What the run was measured on, and with which versions."""

import json
import os
import platform
import subprocess
from pathlib import Path

import psutil

from lab.bench.contender import Contender
from lab.bench.environment import folder_of
from lab.bench.raw import Described, Machine

_CPUINFO = Path("/proc/cpuinfo")
_SCRIPT = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


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


def described(contender: Contender, python: str) -> Described:
    """A contender with the versions in its own environment.

    Args:
        contender: whose environment is built.
        python: the project's interpreter.
    """
    if contender.environment:
        python = str(folder_of(contender.environment) / "bin" / "python")
    done = subprocess.run(
        [python, "-c", _SCRIPT, *contender.packages], capture_output=True, text=True, check=True
    )
    return Described(
        name=contender.name,
        title=contender.title,
        protocol=contender.protocol,
        tuning=contender.tuning,
        versions=json.loads(done.stdout),
    )
