import pytest

from evaluation.command_line import main
from tests.unit.evaluation.service import IDENTITY, running


@pytest.fixture(scope="session")
def running_service():
    with running() as service:
        yield service


@pytest.fixture
def service(running_service, monkeypatch):
    running_service.demo = False
    running_service.identity = IDENTITY
    running_service.judges = False
    running_service.releases.clear()
    running_service.seen.clear()
    running_service.cases.clear()
    running_service.images.clear()
    for name in ("SECONDOPINION_URL", "SECONDOPINION_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return running_service


@pytest.fixture
def evaluate(service, tmp_path, monkeypatch, capsys):
    """Runs the command line in a folder of its own; gives exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDOPINION_URL", service.url)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return ended.value.code, output, errors

    return run
