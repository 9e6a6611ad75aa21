"""What Envoy is told."""

from pathlib import Path

from lab.autoscaling.envoy_config import config


def test_everything_listens_on_loopback_only():
    told = config(1, 2, Path("endpoints.json"))
    (listener,) = told["static_resources"]["listeners"]
    for place in (listener["address"], told["admin"]["address"]):
        assert place["socket_address"]["address"] == "127.0.0.1"


def test_no_request_is_cut_off_or_sent_to_what_is_draining():
    told = config(1, 2, Path("endpoints.json"))
    (listener,) = told["static_resources"]["listeners"]
    (chain,) = listener["filter_chains"]
    (manager,) = (item["typed_config"] for item in chain["filters"])
    (host,) = manager["route_config"]["virtual_hosts"]
    assert [route["route"]["timeout"] for route in host["routes"]] == ["0s"]
    (cluster,) = told["static_resources"]["clusters"]
    assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
    assert cluster["lb_policy"] == "LEAST_REQUEST"
