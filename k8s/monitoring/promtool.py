"""Checks the shipped Prometheus rules with promtool."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from k8s.monitoring import rule_files
from k8s.monitoring.prometheus import executable

TESTS = Path(__file__).parent / "tests"


class RulesError(Exception):
    """promtool refused; the message is what it said."""


def check(files: list[Path]) -> None:
    """`promtool check rules` of plain rule files; what it only warns of fails as well.

    Raises:
        RulesError: a rule cannot be read, or is there twice.
    """
    run("check", "rules", "--lint=all", "--lint-fatal", *map(str, files))


def run_tests(folder: Path, tests: Path = TESTS, source: Path = rule_files.FOLDER) -> None:
    """`promtool test rules` of all tests, with the rules beside them as they expect.

    Args:
        folder: an empty one, for plain copies of the rules.
        tests: files whose `rule_files` name `../rules/*.yaml`.
        source: of the rules' manifests.

    Raises:
        RulesError: a test fails, or there is none.
    """
    files = sorted(tests.glob("*.yaml"))
    if not files:
        raise RulesError(f"{tests}: there are no tests")
    rule_files.write(folder / "rules", source=source)
    (folder / "tests").mkdir()
    copies = [shutil.copy(file, folder / "tests") for file in files]
    # promtool takes one file after the other.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = [each for each in pool.map(_failures, copies) if each]
    if told:
        raise RulesError("\n".join(told))


def _failures(test: Path) -> str:
    try:
        run("test", "rules", str(test))
    except RulesError as error:
        return str(error)
    return ""


def run(*words: str) -> None:
    """Runs promtool.

    Raises:
        RulesError: it refuses.
    """
    command = [str(executable("promtool")), *words]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    if ended.returncode:
        raise RulesError(f"{ended.stdout}{ended.stderr}".strip())
