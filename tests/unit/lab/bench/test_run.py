import pytest
from typer.testing import CliRunner

import lab.bench.__main__ as command
from lab.bench.other_servers import all_contenders
from lab.bench.run import rotated
from lab.bench.workload import WORKLOADS
from lab.errors import LabError
from pipelines.enums import Decoding


def test_each_round_begins_with_another_contender():
    orders = [rotated(list("abcdef"), round_, 3) for round_ in range(3)]
    assert ["".join(order) for order in orders] == ["abcdef", "cdefab", "efabcd"]


def test_more_rounds_than_contenders_are_rotated_too():
    assert ["".join(rotated(list("ab"), round_, 5)) for round_ in range(3)] == ["ab", "ba", "ab"]


def test_every_workload_has_a_contender_and_every_contender_known_workloads():
    asked = {
        workload
        for contender in all_contenders().values()
        for deployment in contender.deployments
        for workload in deployment.workloads
    }
    assert asked == set(WORKLOADS)


def test_all_contenders_but_ours_have_pinned_requirements():
    for contender in all_contenders().values():
        if contender.environment is None:
            continue
        folder = command.ROOT / "lab" / "bench" / "contenders" / contender.environment
        path = folder / "requirements.txt"
        lines = path.read_text("utf-8").splitlines()
        assert all("==" in line for line in lines)
        assert {"onnxruntime==1.31.1", "numpy==1.26.4", "pillow==13.0.0"} <= set(lines)
        assert not any(line.startswith("torch") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--contenders", "tensorflow"], "no 'tensorflow'; there are: triton"),
        (["--workloads", "heavier"], "no 'heavier'; there are: heavy, light, int8"),
        (["--concurrency", "1,many"], "'1,many' is not numbers with commas"),
        (["--photo-size", "large"], "'large' is not width x height"),
        (["--concurrency", "0"], "at least one number from 1 on"),
    ],
)
def test_a_wrong_option_is_told_with_what_there_is(arguments, told, tmp_path, capsys):
    app = command.typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out.md")])
    assert done.exit_code == 1
    assert told in done.output
    assert not list(tmp_path.iterdir())


def test_models_that_are_missing_end_the_run(tmp_path):
    with pytest.raises(LabError, match="python -m demo oral_cancer"):
        WORKLOADS["light"].plan(tmp_path, Decoding.EXACT)
