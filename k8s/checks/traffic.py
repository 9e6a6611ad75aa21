"""Checks the way in and out: routes of the Gateway API, TLS behind them, limits behind proxies."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from gateway.grpc.standard_health import HEALTH_SERVICE
from gateway.settings import Settings
from gateway.triton.client import SERVICE
from k8s.checks.rendering import Object, Overlay, Rendered, name_of
from k8s.checks.workloads import workload

_ROUTES = ("HTTPRoute", "GRPCRoute")
_METHODS = {name.strip("/") for name in (SERVICE, HEALTH_SERVICE)}
"""What the gateway answers over gRPC to callers from outside."""
_TLS = "GATEWAY_TLS_CERTIFICATE_FILE"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OPERATORS_ONLY = ("/metrics", "/healthz", "/readyz", "/docs", "/openapi.json")


def problems(rendered: Rendered) -> Iterator[str]:
    """Routes that lead nowhere, or to a gateway that would refuse what comes that way."""
    for overlay in rendered.overlays:
        found = [*_limits(overlay), *_traces(overlay)]
        for item in overlay.of_kind(*_ROUTES):
            found += [f"{name_of(item)}: {each}" for each in _route(item, overlay)]
        yield from (f"{overlay.name}: {each}" for each in (*found, *_tls(overlay)))


def _route(route: Object, overlay: Overlay) -> Iterator[str]:
    spec = route["spec"]
    hosts = set(spec["hostnames"])
    for parent in spec["parentRefs"]:
        listener = _listener(parent, overlay)
        if listener is None:
            yield f"its parent {parent} is no listener of a Gateway"
        elif not hosts <= {listener.get("hostname")}:
            yield f"{sorted(hosts)} are not the listener's name, {listener.get('hostname')}"
    for rule in spec["rules"]:
        for asked in rule["backendRefs"]:
            service = overlay.find("Service", asked["name"])
            if asked["port"] not in {port["port"] for port in _ports(service)}:
                yield f"{asked} is no Service with such a port"
        for match in rule["matches"]:
            method = match.get("method", {}).get("service")
            if route["kind"] == "GRPCRoute" and method not in _METHODS:
                yield f"the gateway has no gRPC service {method}; it has {sorted(_METHODS)}"
            path = match.get("path", {})
            whole = path.get("type") == "PathPrefix" and path.get("value") == "/"
            if whole or path.get("value", "").startswith(_OPERATORS_ONLY):
                yield f"path {path['value']} leads to what is not for callers: {_OPERATORS_ONLY}"


def _listener(parent: dict[str, Any], overlay: Overlay) -> dict[str, Any] | None:
    gateway = overlay.find("Gateway", parent["name"])
    listeners = gateway["spec"]["listeners"] if gateway else []
    return next((each for each in listeners if each["name"] == parent.get("sectionName")), None)


def _ports(service: Object | None) -> list[dict[str, Any]]:
    return list(service["spec"]["ports"]) if service else []


def _tls(overlay: Overlay) -> Iterator[str]:
    """Proxies speak TLS to the gateway where it does, and check the name that it is known by."""
    gateway = workload(overlay, "gateway")
    if gateway is None or not any(overlay.of_kind(*_ROUTES)):
        return
    policies = list(overlay.of_kind("BackendTLSPolicy"))
    secured = {target["name"] for each in policies for target in each["spec"]["targetRefs"]}
    if _TLS in gateway.environment(overlay) and "gateway" not in secured:
        yield f"{_TLS} is set, and no BackendTLSPolicy tells the proxies; add one"
    if _TLS not in gateway.environment(overlay) and "gateway" in secured:
        yield f"a BackendTLSPolicy is there, and the gateway speaks no TLS: set {_TLS}"
    for item in policies:
        for target in item["spec"]["targetRefs"]:
            name = f"{target['name']}.{item['metadata']['namespace']}.svc"
            if item["spec"]["validation"]["hostname"] != name:
                yield f"{name_of(item)}: its hostname is not {name}"
            for port in _ports(overlay.find("Service", target["name"])):
                if port.get("appProtocol") == "kubernetes.io/h2c":
                    yield f"Service {target['name']}: port {port['name']} is h2c and behind TLS"


def _limits(overlay: Overlay) -> Iterator[str]:
    """Behind proxies all callers have their few addresses."""
    gateway = workload(overlay, "gateway")
    if gateway is None or not any(overlay.of_kind("Ingress", *_ROUTES)):
        return
    settings = gateway.environment(overlay)
    fields = Settings.model_fields
    all_of_them = int(settings.get("GATEWAY_CONNECTIONS", fields["connections"].default))
    of_one = settings.get("GATEWAY_CONNECTIONS_PER_ADDRESS")
    if int(of_one or fields["connections_per_address"].default) < all_of_them:
        yield (
            f"GATEWAY_CONNECTIONS_PER_ADDRESS={of_one} holds for all callers of a proxy together; "
            f"set it to {all_of_them}"
        )


def _traces(overlay: Overlay) -> Iterator[str]:
    """A collector that no policy lets the gateways reach."""
    gateway = workload(overlay, "gateway")
    endpoint = gateway.environment(overlay).get("GATEWAY_OTLP_ENDPOINT") if gateway else None
    if gateway is None or not endpoint:
        return
    open_ports = {
        port["port"]
        for policy in overlay.of_kind("NetworkPolicy")
        if gateway.selected_by(policy["spec"]["podSelector"].get("matchLabels", {}))
        for rule in policy["spec"].get("egress", [])
        for port in rule.get("ports", [])
    }
    address = urlsplit(endpoint)
    if (address.port or _DEFAULT_PORTS.get(address.scheme)) not in open_ports:
        yield f"GATEWAY_OTLP_ENDPOINT={endpoint}: no NetworkPolicy lets the gateways reach it"
