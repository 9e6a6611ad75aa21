"""Runs checkov on the rendered overlays."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from k8s.checks import executables
from k8s.checks.errors import ChecksError
from k8s.checks.exceptions import Exceptions, unused
from k8s.checks.rendering import Rendered


def problems(rendered: Rendered, exceptions: Exceptions) -> Iterator[str]:
    """Policies that an object breaks, but for those with a reason.

    Raises:
        ChecksError: checkov is missing, or says nothing that can be read.
    """
    with tempfile.TemporaryDirectory(prefix="k8s-checks-") as folder:
        for overlay in rendered.overlays:
            (Path(folder) / f"{overlay.name}.yaml").write_text(overlay.text, "utf-8")
        words = ["--framework", "kubernetes", "--skip-download", "--compact", "--quiet"]
        tool = str(executables.checkov())
        ended = executables.run([tool, "-d", folder, *words, "-o", "json", "--soft-fail"])
    try:
        report = json.loads(ended.stdout)
        failed, passed = report["results"]["failed_checks"], report["summary"]["passed"]
    except (ValueError, KeyError, TypeError):
        raise ChecksError(f"checkov: no report: {ended.stderr.strip()}") from None
    if not passed:
        raise ChecksError("checkov: it looked at nothing")
    used = set()
    for each in failed:
        if each["check_id"] in exceptions.checkov:
            used.add(each["check_id"])
        else:
            where = Path(each["file_path"]).stem
            yield f"{where}: {each['resource']}: {each['check_id']} {each['check_name']}"
    yield from unused(exceptions.checkov, used, "checkov")
