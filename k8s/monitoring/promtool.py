"""Checks the shipped Prometheus rules with promtool."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

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
    """`promtool test rules` of all tests, each with the groups of rules that it names.

    Args:
        folder: an empty one, for plain copies of the rules.
        tests: files whose `rule_files` name `../rules/*.yaml`, and whose `group_eval_order` names
            the groups; without it, all groups.
        source: of the rules' manifests.

    Raises:
        RulesError: a test fails, or there is none.
    """
    files = sorted(tests.glob("*.yaml"))
    if not files:
        raise RulesError(f"{tests}: there are no tests")
    copies = [_beside_its_rules(file, folder / file.stem, source) for file in files]
    # promtool takes one file after the other.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = [each for each in pool.map(_failures, copies) if each]
    if told:
        raise RulesError("\n".join(told))


def _beside_its_rules(test: Path, folder: Path, source: Path) -> Path:
    """A copy of a test, beside the rules that it looks at: it evaluates no others."""
    groups = yaml.safe_load(test.read_text("utf-8")).get("group_eval_order")
    rule_files.write(folder / "rules", source=source, groups=groups)
    (folder / "tests").mkdir()
    return Path(shutil.copy(test, folder / "tests"))


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
