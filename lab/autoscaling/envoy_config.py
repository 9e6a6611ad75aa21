"""Envoy's configuration: HTTP/2 for clients, replicas from a file.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/api
"""

from pathlib import Path
from typing import Any

CLUSTER = "triton"
Part = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions"
_OPTIONS = "extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER = "filters.network.http_connection_manager"


def config(port: int, admin: int, endpoints: Path) -> Part:
    """All of it.

    Args:
        port: where it takes gRPC.
        admin: where it tells its state.
        endpoints: file with the replicas' addresses; read again when it is replaced.
    """
    return {
        "node": {"id": "simulation", "cluster": "simulation"},
        "admin": {"address": address(admin)},
        "static_resources": {"listeners": [_listener(port)], "clusters": [_cluster(endpoints)]},
    }


def address(port: int) -> Part:
    """Of loopback."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(port: int) -> Part:
    # No inference is cut off: docs/decisions/0012.
    route = {"match": {"prefix": "/"}, "route": {"cluster": CLUSTER, "timeout": "0s"}}
    manager = {
        "@type": f"{_TYPES}.{_MANAGER}.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": [{"name": CLUSTER, "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            _filter("grpc_stats", "grpc_stats.v3.FilterConfig", stats_for_all_methods=True),
            _filter("router", "router.v3.Router"),
        ],
    }
    http = {"name": f"envoy.{_MANAGER}", "typed_config": manager}
    return {"address": address(port), "filter_chains": [{"filters": [http]}]}


def _filter(name: str, kind: str, **options: object) -> Part:
    typed = {"@type": f"{_TYPES}.filters.http.{kind}", **options}
    return {"name": name, "typed_config": typed}


def _cluster(endpoints: Path) -> Part:
    check = {
        "timeout": "5s",
        "interval": "1s",
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }
    source = {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(endpoints)},
    }
    http2 = {
        "@type": f"type.googleapis.com/envoy.{_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": CLUSTER,
        "type": "EDS",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "2s",
        "eds_cluster_config": {"eds_config": source},
        # What is draining must get nothing, however many drain at a time.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [check],
        "typed_extension_protocol_options": {f"envoy.{_OPTIONS}": http2},
    }
