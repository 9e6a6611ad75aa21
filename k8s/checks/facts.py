"""Checks that the manifests agree with the project's code: ports, settings, pipelines."""

from collections.abc import Iterable, Iterator

import yaml
from pydantic import ValidationError

from gateway.identity.token_settings import TokenSettings
from gateway.settings import Settings
from k8s.checks.rendering import Overlay, Rendered
from k8s.checks.workloads import Workload, workloads
from pipelines.load import FOLDER
from pipelines.ports import Ports
from pipelines.tls import GatewayTls, TritonTls

_PORTS = {
    ("gateway", "http"): "gateway_port",
    ("gateway", "grpc"): "gateway_grpc_port",
    ("triton", "grpc"): "triton_grpc_port",
    ("triton", "metrics"): "triton_metrics_port",
    ("triton", "server-metrics"): "server_metrics_port",
}
_GATEWAY, _GATEWAY_TLS, _TLS = "GATEWAY_", "GATEWAY_TLS_", "TRITON_TLS_"


def problems(rendered: Rendered) -> Iterator[str]:
    """Ports that nobody binds, settings that nobody reads or would refuse, unknown pipelines."""
    for overlay in rendered.overlays:
        for each in workloads(overlay):
            words = (word for part in each.containers for word in part.get("args", []))
            for problem in (*_ports(each), *_settings(each, overlay), *_served(words)):
                yield f"{overlay.name}: {each.name}: {problem}"


def _ports(workload: Workload) -> Iterator[str]:
    name = workload.labels.get("app.kubernetes.io/name", "")
    for (owner, port), setting in _PORTS.items():
        number = Ports.model_fields[setting].default
        if owner == name and workload.ports.get(port) != number:
            yield f"port {port} is {workload.ports.get(port)}; pipelines/ports.py says {number}"


def _settings(workload: Workload, overlay: Overlay) -> Iterator[str]:
    found = workload.environment(overlay)
    tls = {name for name in found if name.startswith(_TLS)}
    yield from _unread(tls, {_TLS + field.upper() for field in TritonTls.model_fields})
    for setting in ("GATEWAY_TRITON_HOST", "GATEWAY_SPARE_TRITON"):
        address = found.get(setting)
        if address and not overlay.find("Service", address.partition(":")[0]):
            yield f"{setting}={address}: there is no Service of this name"
    own = {name: value for name, value in found.items() if name.startswith(_GATEWAY)}
    tls = {name for name in own if name.startswith(_GATEWAY_TLS)}
    yield from _unread(tls, {_GATEWAY_TLS + field.upper() for field in GatewayTls.model_fields})
    ports = {field.upper() for field in Ports.model_fields}
    tokens = {f"{_GATEWAY}TOKEN_{field.upper()}" for field in TokenSettings.model_fields}
    known = {_GATEWAY + field.upper() for field in Settings.model_fields}
    yield from _unread(own.keys() - tls, known | tokens | ports)
    if own:
        # What a Secret has is not known here.
        plain = {name: own[name] for name in own.keys() - ports - tls if own[name]}
        fields = {name.removeprefix(_GATEWAY).lower(): value for name, value in plain.items()}
        try:
            Settings.model_validate(fields)
        except ValidationError as error:
            for each in error.errors():
                yield f"the gateway refuses {'.'.join(map(str, each['loc']))}: {each['msg']}"


def _unread(names: Iterable[str], known: set[str]) -> Iterator[str]:
    for name in sorted(set(names) - known):
        yield f"{name}: nothing reads such a setting; correct its name"


def _served(words: Iterable[str]) -> Iterator[str]:
    """Pipelines and a profile that the launcher would not find."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    files = {file.stem: file for file in FOLDER.glob("*.yaml")}
    asked = set(options.get("--pipelines", "").split(",")) - {""}
    for name in sorted(asked - {"all"} - files.keys()):
        yield f"--pipelines={options['--pipelines']}: there is no pipelines/{name}.yaml"
    served = files.keys() if "all" in asked else asked & files.keys()
    profile = options.get("--profile")
    for name in sorted(served):
        known = yaml.safe_load(files[name].read_text("utf-8")).get("profiles", {})
        if profile and profile not in known:
            yield f"--profile={profile}: pipelines/{name}.yaml has none of this name"
