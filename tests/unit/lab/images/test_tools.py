import pytest

from lab.errors import LabError
from lab.images import tools


def test_a_missing_program_is_named_with_its_remedy():
    with pytest.raises(LabError, match="not installed: podmann: run `apt-get install podmann`"):
        tools.require(["sh", "podmann"])


def test_a_failure_shows_the_last_lines_of_both_streams():
    with pytest.raises(LabError, match="code 3; its last lines:\n  out\n  err"):
        tools.succeed(["sh", "-c", "echo out; echo err >&2; exit 3"])


def test_a_program_that_hangs_is_ended():
    with pytest.raises(LabError, match="not done after 0 s"):
        tools.ran(["sleep", "30"], seconds=0.1)
