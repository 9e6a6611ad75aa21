import pytest

from tests.unit.loadtest.toy_service import running


@pytest.fixture
def toy():
    with running() as service:
        yield service
