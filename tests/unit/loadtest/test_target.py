"""Load goes to this machine unless someone says that it may go elsewhere."""

import pytest

from loadtest.errors import LoadtestError
from loadtest.target import refuse_remote


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80", "127.0.0.2:8011"]
)
def test_this_machine_is_let_through(address):
    refuse_remote(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1:8080",
        "http://0.0.0.0:8080",
        "192.0.2.1:8011",
        "http://nowhere.invalid",
        "http://127.0.0.1@192.0.2.1:8080",
    ],
)
def test_any_other_is_refused_with_the_way_to_allow_it(address):
    with pytest.raises(LoadtestError, match="--allow-remote"):
        refuse_remote("http://127.0.0.1:8080", address)


def test_an_address_without_a_host_is_refused():
    with pytest.raises(LoadtestError, match="has no host"):
        refuse_remote("http://")
