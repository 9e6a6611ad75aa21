"""Whether there is memory for one more release is told before it is loaded."""

from types import SimpleNamespace

import pytest

from server.launcher import memory
from server.launcher.memory import Memory, available_mib

MIB = 2**20


def release(folder, mebibytes, models):
    artefact = folder / "model" / "1" / "model.onnx"
    artefact.parent.mkdir(parents=True)
    with artefact.open("wb") as file:
        file.truncate(mebibytes * MIB)
    group = SimpleNamespace(count=1)
    config = SimpleNamespace(backend="onnxruntime", instance_group=[group])
    member = SimpleNamespace(format=SimpleNamespace(filename="model.onnx"), instances=1)
    return SimpleNamespace(
        configs=dict.fromkeys(models, config),
        members={"one": models[0]},
        spec=SimpleNamespace(members={"one": member}),
        files=SimpleNamespace(repository=folder),
        version_folder=lambda _: "model/1",
    )


@pytest.fixture
def judged(monkeypatch):
    """What is said where processes of the loaded release take 300 MiB."""
    processes = {7: SimpleNamespace(pid=7, model="p"), 8: SimpleNamespace(pid=8, model="q")}
    triton = SimpleNamespace(backend_processes=lambda: processes)
    monkeypatch.setattr(memory, "needed_mib", lambda *_: 0)
    monkeypatch.setattr(memory, "_own_mib", {7: 300.0, 8: 5000.0}.get)
    return Memory(SimpleNamespace(has_processes=lambda _: True), triton)


def test_a_release_takes_what_the_loaded_one_takes_and_more_where_it_is_larger(judged, tmp_path):
    loaded, larger = release(tmp_path / "a", 10, ["p"]), release(tmp_path / "b", 50, ["p--2"])
    assert judged.needed_mib(larger, loaded) == 340
    # Nothing of the pipeline is loaded: its files and one process.
    assert judged.needed_mib(larger, None) == 110


def test_a_release_that_is_too_large_is_refused_with_both_numbers(judged, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_mib", lambda: 439)
    loaded, larger = release(tmp_path / "a", 10, ["p"]), release(tmp_path / "b", 50, ["p--2"])
    problem = judged.problem(larger, loaded)
    assert "needs about 340 MiB" in problem
    assert "439 MiB are available" in problem
    monkeypatch.setattr(memory, "available_mib", lambda: 440)
    assert judged.problem(larger, loaded) is None


def test_a_containers_limit_counts_where_it_is_nearer_than_the_machines(tmp_path):
    (tmp_path / "memory.max").write_text(f"{64 * MIB}\n")
    (tmp_path / "memory.current").write_text(f"{60 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {10 * MIB}\n")
    assert available_mib(tmp_path) == 14
    (tmp_path / "memory.max").write_text("max\n")
    assert available_mib(tmp_path) > 14
    assert available_mib(tmp_path / "none") > 14
