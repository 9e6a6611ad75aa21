from functools import partial

import pytest

from database.engine import open_engine, upgrade
from tests import databases, stalls

_BEGAN = pytest.StashKey[float]()


def pytest_collection_modifyitems(items):
    """A test that fails is run once more if it did not get the machine; the summary names it.

    Where that stands still, Triton may abort, and databases refuse; what a service does about it
    has tests of its own. Where it has far more to do than it can, a browser or a service may miss
    any deadline.
    """
    for item in items:
        without_machine = partial(_without_machine, item)
        item.add_marker(pytest.mark.flaky(reruns=1, condition=without_machine))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[_BEGAN] = stalls.now()


def _without_machine(item):
    return stalls.stood_still_since(item.stash[_BEGAN]) or stalls.starved()


@pytest.fixture(scope="session", autouse=True)
def _keeps_nothing_in_the_project(tmp_path_factory):
    """What gateways keep that a test starts without a database of its own goes here."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWAY_DATABASE_URL", databases.sqlite_url(folder / "second-opinion.db"))
        patch.setenv("GATEWAY_SECRETS_DIR", str(folder / "secrets"))
        patch.setenv("GATEWAY_KEPT_IMAGES", str(folder / "images"))
        yield


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory):
    return databases.migrated_file(tmp_path_factory.mktemp("database") / "migrated.db")


@pytest.fixture
def sqlite_url(migrated_sqlite, tmp_path_factory):
    """A migrated SQLite database of the test's own."""
    return databases.copied(migrated_sqlite, tmp_path_factory.mktemp("database") / "own.db")


@pytest.fixture(scope="session")
def postgres_server():
    with databases.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server):
    url = databases.new_postgres_database(postgres_server)
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture
def postgres_url(migrated_postgres):
    """A migrated and empty database of a real PostgreSQL."""
    return databases.emptied(migrated_postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """A migrated and empty database, of each kind in turn."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return request.getfixturevalue(name)
