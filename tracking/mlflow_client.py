"""Sends one run to a tracking server: a program of the environment that has MLflow.

`python -I mlflow_client.py URL` reads `TrackedRun.document` as JSON and prints the run's id. It
imports nothing of ours. Only what it is given is sent: MLflow's own notes of user and script are
those of its fluent functions, which are not used.
"""

import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

_AT_ONCE = 100


def main() -> None:
    """Sends the run; ends with 1 and one line where it cannot."""
    said = json.load(sys.stdin)
    try:
        # MLflow says on the output where a run is to be seen.
        with redirect_stdout(sys.stderr):
            run = _send(MlflowClient(tracking_uri=sys.argv[1]), said)
    except (MlflowException, OSError) as error:
        text = " ".join(str(error).split())
        sys.exit(f"the tracking server was not told: {text[:500]}")
    print(run)  # noqa: T201 - its answer


def _send(client: MlflowClient, said: dict[str, Any]) -> str:
    experiment = _experiment(client, said["experiment"])
    run: str = client.create_run(experiment, run_name=said["name"]).info.run_id
    try:
        started = client.get_run(run).info.start_time
        batches = {
            "params": [Param(*each) for each in said["parameters"].items()],
            "metrics": [Metric(name, value, started, 0) for name, value in said["metrics"].items()],
            "tags": [RunTag(*each) for each in said["tags"].items()],
        }
        for kind, entries in batches.items():
            for first in range(0, len(entries), _AT_ONCE):
                client.log_batch(run, **{kind: entries[first : first + _AT_ONCE]})
        _send_files(client, run, said)
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run, "FINISHED")
    return run


def _send_files(client: MlflowClient, run: str, said: dict[str, Any]) -> None:
    """Under the names that they are to have there, which may be others than here."""
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, file) in enumerate(said["files"].items()):
            to = PurePosixPath(path)
            link = Path(folder, str(number), to.name)
            link.parent.mkdir()
            link.symlink_to(file)
            client.log_artifact(run, str(link), None if to.parent.name == "" else str(to.parent))
    for path, text in said["texts"].items():
        client.log_text(run, text, path)


def _experiment(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            # Somebody else has made it meanwhile.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise MlflowException(f"experiment {name} was deleted there: restore it")
    return str(found.experiment_id)


if __name__ == "__main__":
    main()
