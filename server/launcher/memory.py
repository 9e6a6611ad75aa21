"""Whether this machine has the memory for one more release, before it is loaded."""

from pathlib import Path

import psutil

from server.launcher.preflight import space_problem
from server.launcher.shared_memory import needed_mib
from server.releases.verified import VerifiedRelease
from server.triton import leftovers
from server.triton.installation import Installation
from server.triton.process import TritonProcess

_MIB = 2**20
_RESERVE_MIB = 100
"""Left for what serves, whose memory grows with its requests."""
_PROCESS_MIB = 60
"""Of a backend process that was not seen yet: Python, NumPy and its engine."""
_CGROUP = Path("/sys/fs/cgroup")


class Memory:
    """Estimates by what the processes of a loaded release of the same pipeline take."""

    def __init__(self, installation: Installation, triton: TritonProcess) -> None:
        self._installation = installation
        self._triton = triton

    def problem(self, release: VerifiedRelease, loaded: VerifiedRelease | None) -> str | None:
        """Why a release is not to be loaded; None: there is enough. Of GPUs nothing is known.

        Args:
            release: the one to load.
            loaded: another one of the pipeline.
        """
        shared = needed_mib([release], self._installation)
        remedy = "give it more, or serve fewer pipelines or instances"
        if found := space_problem(leftovers.SHARED_MEMORY, shared, remedy):
            return found
        needed, available = self.needed_mib(release, loaded), available_mib()
        if needed + _RESERVE_MIB <= available:
            return None
        return (
            f"it needs about {needed} MiB of memory and {_RESERVE_MIB} MiB are kept free, but "
            f"{available} MiB are available: retire another release, or give more memory"
        )

    def needed_mib(self, release: VerifiedRelease, loaded: VerifiedRelease | None) -> int:
        """An estimate of what the processes of a release will take.

        What the other one's take, more where its artefacts are larger; but at least its artefacts
        and the processes themselves.
        """
        size = _artefacts_mib(release)
        processes = sum(
            sum(group.count for group in config.instance_group) or 1
            for config in release.configs.values()
            if self._installation.has_processes(config.backend)
        )
        least = size + processes * _PROCESS_MIB
        if loaded is None:
            return round(least)
        taken = sum(
            _own_mib(process.pid)
            for process in self._triton.backend_processes().values()
            if process.model in loaded.configs
        )
        grown = max(0.0, size - _artefacts_mib(loaded))
        return round(max(least, taken + grown))


def available_mib(cgroup: Path = _CGROUP) -> int:
    """Memory that may still be taken: the machine's, or a container's where that is less."""
    available: float = psutil.virtual_memory().available / _MIB
    try:
        limit = (cgroup / "memory.max").read_text("ascii").strip()
        used = int((cgroup / "memory.current").read_text("ascii"))
        stat = (cgroup / "memory.stat").read_text("ascii").split()
        # Pages of files that nobody has used for long are given back where memory is needed.
        idle = int(stat[stat.index("inactive_file") + 1])
        if limit != "max":
            available = min(available, (int(limit) - used + idle) / _MIB)
    except (OSError, ValueError, IndexError):
        pass
    return max(0, int(available))


def _artefacts_mib(release: VerifiedRelease) -> float:
    """Of the artefacts of each instance that loads one."""
    total = 0.0
    for member, model in release.members.items():
        spec = release.spec.members[member]
        folder = release.files.repository / release.version_folder(member)
        size = (folder / spec.format.filename).stat().st_size / _MIB
        total += size * (spec.instances if model in release.configs else 1)
    return total


def _own_mib(pid: int) -> float:
    """Memory of a process that it shares with nobody, but for shared memory; 0 if it is gone."""
    try:
        info = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0.0
    return float(info.rss - info.shared) / _MIB
