"""What the launcher of this machine says of the releases that it loads."""

import json
import time
import urllib.request
from typing import Any

from pipelines.ports import Ports
from pipelines.release_changes import ChangeRefusedError

_SECONDS = 300.0
_PAUSE_SECONDS = 0.2
_CALL_SECONDS = 5.0


class NotLoadedError(Exception):
    """The server does not load a release; the text has its reason."""


def wait_until_loaded(pipeline: str, release: str) -> bool:
    """Waits until the server has loaded a release; False where no server runs here.

    Raises:
        NotLoadedError: it does not load it.
    """
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        try:
            said = _page().get(pipeline, {})
        except OSError:
            return False
        if release in said.get("loaded", ()):
            return True
        if reason := said.get("refused", {}).get(release):
            raise NotLoadedError(str(reason))
        time.sleep(_PAUSE_SECONDS)
    raise NotLoadedError(f"it was not loaded within {_SECONDS:.0f} s")


def require_loaded(pipeline: str, release: str | None) -> None:
    """Refuses a change that lets a release answer which the server of this machine has not loaded.

    Where no server runs here, or serves other pipelines, nothing is known, and nothing refused.

    Raises:
        ChangeRefusedError: it is not loaded; the text has the reason.
    """
    try:
        said = _page().get(pipeline)
    except OSError:
        return
    if release is None or said is None or release in said.get("loaded", ()):
        return
    reason = said.get("refused", {}).get(release, "wait until it is")
    raise ChangeRefusedError(f"{release} is not loaded: {reason}")


def loaded_here(pipeline: str) -> tuple[str, ...]:
    """The releases of a pipeline that the server of this machine has loaded; none without one."""
    try:
        return tuple(map(str, _page().get(pipeline, {}).get("loaded", ())))
    except OSError:
        return ()


def _page() -> dict[str, Any]:
    """For each pipeline, ids of loaded releases, and why others are refused.

    Raises:
        OSError: no launcher answers.
    """
    url = f"http://127.0.0.1:{Ports().server_metrics_port}/releases"
    # The server is private: an http_proxy of the environment is not on the way to it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=_CALL_SECONDS) as answer:
        page: dict[str, Any] = json.load(answer)
    return page
