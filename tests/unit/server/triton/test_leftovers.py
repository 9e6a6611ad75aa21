"""Regions of shared memory: whose they are, and who may read them."""

import pytest

from server.triton import leftovers


@pytest.fixture
def shared_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "SHARED_MEMORY", tmp_path)
    return tmp_path


def test_regions_of_this_triton_are_closed_and_those_of_another_left_alone(shared_memory):
    ours, other = (shared_memory / f"{leftovers.region_prefix(port)}x" for port in (1, 2))
    for region in (ours, other):
        region.touch()
        region.chmod(0o644)
    leftovers.close_regions(leftovers.region_prefix(1))
    assert [region.stat().st_mode & 0o777 for region in (ours, other)] == [0o600, 0o644]


def test_the_region_of_one_process_is_removed_and_may_be_gone_already(shared_memory):
    region = shared_memory / f"{leftovers.region_prefix(1)}x"
    region.touch()
    for _ in range(2):
        leftovers.remove_region(region.name)
        assert list(shared_memory.iterdir()) == []
