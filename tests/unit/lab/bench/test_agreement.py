import pytest
from typer.testing import CliRunner

from lab.bench import agreement
from tests.unit.lab.bench import measured
from tests.unit.lab.bench.scenarios import made_up


def ran(*arguments):
    app = agreement.typer.Typer()
    app.command()(agreement.main)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def first(tmp_path):
    measured.run().write(tmp_path / "first.json")
    return tmp_path / "first.json"


def another(tmp_path, *images):
    """A run in whose rounds so many images were answered, instead of 800 and 300."""
    path = tmp_path / "second.json"
    cells = tuple(measured.cell(round_, count) for round_, count in enumerate(images))
    measured.run(cells=cells).write(path)
    return path


def test_runs_agree_within_the_spread_that_they_state(first, tmp_path):
    """The ratios of 0.8 and 0.6, median 0.7, have a spread of 29 %."""
    done = ran(first, another(tmp_path, 600, 300))
    assert done.exit_code == 0
    assert (
        "| light | Fast, http | 8 callers, of the limit | 70% / 60% | 15% | 29% | yes |"
        in done.stdout
    )
    assert "1 of 1 agree" in done.stderr


def test_runs_that_do_not_agree_are_told(first, tmp_path):
    done = ran(first, another(tmp_path, 500, 250))
    assert done.exit_code == 1
    assert "| 70% / 50% | 33% | 29% | **no** |" in done.stdout
    assert "0 of 1 agree" in done.stderr


def test_what_is_in_one_run_only_is_no_agreement(first, tmp_path):
    measured.run(cells=()).write(tmp_path / "none.json")
    assert ran(first, tmp_path / "none.json").exit_code == 1


def test_runs_of_the_scenarios_are_compared_figure_by_figure(tmp_path):
    made_up.run().write(tmp_path / "first.json")
    slower = tuple(made_up.single(round_, made_up.OURS, 14.0) for round_ in (0, 1))
    made_up.run(singles=slower).write(tmp_path / "second.json")
    done = ran(tmp_path / "first.json", tmp_path / "second.json")
    assert done.exit_code == 1
    assert "| light | Gateway, http | SingleStream p50, ms | 9.5 / 14.0 | 38% | 11% | **no** |" in (
        done.stdout
    )
    assert "| light | Gateway, http | Server, 1/s | 85.0 / 85.0 | 0% | 12% | yes |" in done.stdout
    assert "| Offline, of the limit | 85% / 85% |" in done.stdout
    assert "| Overload, goodput, 1/s | 68.0 / 68.0 |" in done.stdout


def test_a_run_of_closed_loops_and_one_of_the_scenarios_cannot_be_compared(first, tmp_path):
    made_up.run().write(tmp_path / "second.json")
    done = ran(first, tmp_path / "second.json")
    assert done.exit_code == 2
    assert "one run is of closed loops" in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), ("{}", "no raw data of this version's bench")]
)
def test_what_cannot_be_read_is_named(content, told, first, tmp_path):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    done = ran(first, path)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())
