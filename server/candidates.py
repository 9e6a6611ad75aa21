"""The pipelines that may be served: which are ready to be loaded, and which have just become so."""

from pathlib import Path

from pipelines.load import SpecError, available, load_spec
from server.errors import RefusedPipelineError
from server.release import Release, vouch

_Stamp = tuple[tuple[str, int], ...]


class Candidates:
    """Vouches for each pipeline once; for a refused one again when its files have changed.

    So a pipeline whose YAML or weights come later is served without a restart.
    """

    def __init__(self, specs: Path, repository: Path, names: list[str] | None) -> None:
        """`names` None: all that have a YAML in `specs`, now or later."""
        self._specs = specs
        self._repository = repository
        self._names = names
        self._vouched: set[str] = set()
        self._refused: dict[str, _Stamp] = {}
        """The files by which a pipeline was refused."""

    def look(self) -> tuple[list[Release], list[str]]:
        """The pipelines that have become servable since the last look, and new refusals."""
        releases, problems = [], []
        for name in available(self._specs) if self._names is None else self._names:
            stamp = self._stamp(name)
            if name in self._vouched or self._refused.get(name) == stamp:
                continue
            try:
                releases.append(vouch(load_spec(name, self._specs), self._repository))
                self._vouched.add(name)
            except (RefusedPipelineError, SpecError) as error:
                problems.append(str(error))
                self._refused[name] = stamp
        return releases, problems

    def _stamp(self, name: str) -> _Stamp:
        """What tells that a pipeline's files have changed: a folder's time tells of its entries."""
        models = [path for path in self._repository.glob(f"{name}*") if path.is_dir()]
        watched = [self._specs / f"{name}.yaml", *models]
        watched += [path / "config.pbtxt" for path in models]
        return tuple((str(path), _changed(path)) for path in watched)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
