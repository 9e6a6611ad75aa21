import pytest
from sqlalchemy import select

from database.engine import open_engine
from database.tables import feedback_comments, predictions
from gateway.identity.principal import Role
from tests.unit.gateway.samples import JPEG, RAW


@pytest.fixture
def callers(new_key):
    """Keys of callers by their names; a test may add some."""
    roles = (Role.PREDICT, Role.FEEDBACK)
    known = {name: new_key(name, roles) for name in ("north", "south")}
    for role in (Role.AUDIT, Role.OPERATE):
        known[role] = new_key("office", (Role.FEEDBACK, role))
    return known


@pytest.fixture
async def service(start, sqlite_url, tmp_path, callers):
    """A client of a gateway with a store of its own."""
    client = await start(auth="required", kept_images=str(tmp_path / "images"))
    client.database = sqlite_url
    # The headers of a caller.
    client.by = lambda name, **headers: {"x-api-key": callers[name], **headers}
    return client


@pytest.fixture
def predict(service):
    """Has an image answered; gives the id of its prediction."""

    async def ask(name="north", path="/api/v1/predict", **headers):
        response = await service.post(
            path, content=JPEG, headers={**RAW, **service.by(name, **headers)}
        )
        assert response.status_code == 200, response.text
        return response.json()["prediction_id"]

    return ask


@pytest.fixture
def say(service):
    """Sends a feedback; gives the response."""

    async def send(prediction, name="north", **feedback):
        path = f"/api/v1/predictions/{prediction}/feedback"
        return await service.post(path, json=feedback, headers=service.by(name))

    return send


def rows_of(service):
    """The audit log, and the comments beside it."""
    engine = open_engine(service.database)
    with engine.connect() as connection:
        log = connection.execute(select(predictions).order_by(predictions.c.position)).all()
        comments = connection.execute(select(feedback_comments)).all()
    engine.dispose()
    return log, comments
