import os

import pytest
from sqlalchemy import select

from database.engine import open_engine
from database.tables import predictions


@pytest.fixture
def audit_rows():
    """Reads the rows of the test's database, in the order in which they were written."""

    def read():
        engine = open_engine(os.environ["GATEWAY_DATABASE_URL"])
        order = predictions.c.chain, predictions.c.position
        with engine.connect() as connection:
            found = connection.execute(select(predictions).order_by(*order)).all()
        engine.dispose()
        return found

    return read
