"""Checks that the paths and ports of all probes exist."""

from collections.abc import Iterator

import httpx

from k8s.checks.rendering import Rendered
from k8s.checks.scrape import PORTS, Running
from k8s.checks.workloads import workload


def problems(rendered: Rendered, service: Running) -> Iterator[str]:
    """Probes that a service which works would fail, or that would pass whatever happens."""
    asked = set()
    for overlay in rendered.overlays:
        for owner in ("gateway", "triton"):
            found = workload(overlay, owner)
            for container in found.pod["containers"] if found else []:
                for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                    get = container.get(kind, {}).get("httpGet", {})
                    if (owner, get.get("port")) in PORTS:
                        asked.add((owner, get["port"], get["path"]))
                    else:
                        yield (
                            f"{overlay.name}: {owner}: {kind}: it asks nothing over HTTP; let it "
                            "ask one of " + ", ".join(port for each, port in PORTS if each == owner)
                        )
    for owner, port, path in sorted(asked):
        answer = service.ask(owner, port, path)
        if answer.status_code != httpx.codes.OK:
            yield f"{owner}: GET {path} on {port} answers {answer.status_code} while all is well"
        if "# TYPE" in answer.text:
            yield f"{owner}: GET {path} on {port} answers with metrics: there is no such probe"
