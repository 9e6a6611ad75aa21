"""A promotion is watched by the rows of all gateways, and undone where it is worse."""

import asyncio

import pytest
from structlog.testing import capture_logs

from database import releases as table
from database.clock import now
from database.engine import open_engine
from database.live_figures import Figure
from gateway.core.catalog import Artefact, Pipeline
from gateway.release_watch import watch
from gateway.release_watch.judgement import Verdict
from gateway.release_watch.watch import ReleaseWatch
from gateway.settings import Settings
from pipelines import release_changes as changes
from tests.unit.gateway.release_watch.history_rows import DAY, History
from tests.unit.gateway.toy_triton import SPEC, artefacts_of, running
from tests.unit.gateway.two_releases import NEW, OLD, TwoReleases, changes_in_database

ANSWERS = 120


@pytest.fixture
def engine():
    engine = open_engine(Settings().database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def history(engine):
    return History(engine)


def look(engine, rolled_back=()):
    """What a gateway that has just started finds."""
    facts = {name: Artefact.model_validate(each) for name, each in artefacts_of(SPEC).items()}
    pipeline = Pipeline(SPEC, facts, NEW, SPEC.name)
    return ReleaseWatch(engine, None, None, rolled_back)._judged(pipeline)


def verdicts(engine):
    return {each.figure: each.verdict for each in look(engine).figures}


WORSE = {
    Figure.REFUSED: {"refusal": "model_output"},
    Figure.SECONDS: {"seconds": 3.0},
    Figure.UNCERTAIN: {"level": "high"},
    Figure.ATYPICAL: {"typical": False},
}


@pytest.mark.parametrize("figure", WORSE)
def test_each_figure_that_is_worse_is_called_so_and_no_other(engine, history, figure):
    history.promoted()
    history.answered(OLD, ANSWERS, at=history.promoted_at - DAY)
    history.answered(NEW, 20, at=history.promoted_at + DAY // 2)
    history.answered(NEW, 80, at=history.promoted_at + DAY, **WORSE[figure])
    found = verdicts(engine)
    expected = {Verdict.NOT_WORSE, Verdict.NOT_ENOUGH}
    assert found.pop(figure) is Verdict.WORSE
    assert set(found.values()) <= expected


def test_answers_that_people_correct_more_often_are_worse(engine, history):
    history.promoted()
    for release, at, wrong in ((OLD, -DAY, 5), (NEW, DAY, 90)):
        answers = history.answered(release, ANSWERS, at=history.promoted_at + at)
        labels = ["healthy"] * wrong + ["cancer"] * (ANSWERS - wrong)
        when = history.promoted_at + at
        history.said(zip(answers, labels, strict=True), when + DAY // 2)
        # What is said later is another matter.
        history.said(((answer, "healthy") for answer in answers), when + 3 * DAY // 4)
    found = verdicts(engine)
    assert found[Figure.CORRECTED] is Verdict.WORSE
    assert found[Figure.UNCERTAIN] is Verdict.NOT_WORSE


def test_an_equal_release_is_not_worse_and_what_is_too_little_is_not_enough(engine, history):
    history.promoted()
    assert set(verdicts(engine).values()) == {Verdict.NOT_ENOUGH}
    for release, at in ((OLD, -DAY), (NEW, DAY)):
        history.answered(release, ANSWERS, at=history.promoted_at + at)
        history.answered(release, 10, at=history.promoted_at + at + DAY // 2, level="high")
    found = verdicts(engine)
    assert found.pop(Figure.CORRECTED) is Verdict.NOT_ENOUGH
    assert set(found.values()) == {Verdict.NOT_WORSE}


def test_rows_that_say_nothing_of_the_release_are_left_out(engine, history):
    history.promoted()
    history.answered(OLD, ANSWERS, at=history.promoted_at - DAY)
    history.answered(NEW, ANSWERS, at=history.promoted_at + DAY // 4)
    bad = {"level": "high", "typical": False, "seconds": 9.0}
    later = history.promoted_at + DAY
    for columns in (
        {"parameters": '{"member":"vgg16"}'},
        {"parameters": '{"threshold":"0.9"}'},
        {"parameters": '{"explain":"true"}'},
        {"parameters": f'{{"release":"{NEW}"}}'},
        {"transport": "command", "route": "recall"},
        {"pipeline": "mhist"},
    ):
        history.answered(NEW, 40, at=later, **bad, **columns)
    history.answered("3-cccccccc", 40, at=later, **bad)
    for code in ("busy", "rate_limited", "image_format", "parameter_invalid"):
        history.answered(None, 40, at=later, refusal=code)
    # A batch of images that are alike is one request, and its time is nobody's.
    history.answered_together(NEW, 2, 40, at=later, route="predict/batch", **bad)
    # Of before the promotion, when callers were divided.
    history.answered(NEW, 40, at=history.promoted_at - DAY, **bad)
    found = look(engine)
    assert {each.verdict for each in found.figures} == {Verdict.NOT_WORSE, Verdict.NOT_ENOUGH}
    by_figure = {each.figure: each for each in found.figures}
    assert by_figure[Figure.REFUSED].former_answers == ANSWERS


def test_images_of_one_request_count_once(engine, history):
    history.promoted()
    history.answered(OLD, ANSWERS, at=history.promoted_at - DAY)
    batches = {"route": "predict/batch", "level": "high"}
    history.answered_together(NEW, 19, 30, at=history.promoted_at + DAY, **batches)
    assert verdicts(engine)[Figure.UNCERTAIN] is Verdict.NOT_ENOUGH


def test_the_former_release_is_seen_before_the_new_one_answered_anybody(engine, history):
    history.promoted(split_before=DAY)
    history.answered(OLD, ANSWERS, at=history.promoted_at - 2 * DAY)
    history.answered(OLD, ANSWERS, at=history.promoted_at - DAY // 2)
    history.answered(OLD, ANSWERS, at=history.promoted_at - 10 * DAY)
    history.answered(NEW, 20, at=history.promoted_at + DAY)
    found = {each.figure: each for each in look(engine).figures}
    assert found[Figure.REFUSED].former_answers == ANSWERS


@pytest.mark.parametrize(
    "last",
    [
        None,
        ("rollback", {"current": OLD, "former": NEW}),
        ("retire", {"current": NEW}),
    ],
)
def test_only_a_promotion_is_watched(engine, history, last):
    if last is None:
        assert look(engine) is None
        return
    history.promoted()
    action, state = last
    history.changed(action, now(), **state)
    watched = look(engine)
    assert (watched is None) == (action == "rollback")


def test_a_promotion_is_watched_for_two_weeks(engine, history):
    history.promoted_at = now() - 15 * DAY
    history.promoted()
    assert look(engine) is None


@pytest.fixture
async def triton():
    async with running(TwoReleases()) as toy:
        yield toy


@pytest.fixture
def worse(history):
    """A release that refuses half of what it is asked was promoted two days ago."""
    history.promoted()
    history.answered(OLD, ANSWERS, at=history.promoted_at - DAY)
    history.answered(NEW, 20, at=history.promoted_at + DAY // 2)
    history.answered(NEW, 30, at=history.promoted_at + DAY, refusal="model_output")


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(watch, "_SECONDS", 0.1)


def newest(engine):
    with engine.connect() as connection:
        return table.entries(connection, SPEC.name, "default")[0]


async def until(condition):
    async with asyncio.timeout(30):
        while not (found := await condition()):  # noqa: ASYNC110 - the database says nothing
            await asyncio.sleep(0.02)
    return found


async def _told(lines):
    return [
        line for line in lines if line.get("pipeline") == "mhist" and "no such" in line["event"]
    ]


async def metric(client, line):
    return line in (await client.get("/metrics")).text


@pytest.mark.anyio
async def test_where_nobody_wants_a_rollback_it_is_told_and_nothing_else(start, engine, worse):
    with capture_logs() as lines:
        client = await start(watch_rollback=("mhist",))
        await until(lambda: _told(lines))
    labels = f'pipeline="oral_cancer",release="{NEW}"'
    line = f'prediction_watch_worse{{figure="refused",{labels}}} 1.0'
    await until(lambda: metric(client, line))
    assert await metric(client, f'prediction_watch_worse{{figure="uncertain",{labels}}} 0.0')
    assert await metric(client, f'prediction_watch_answers{{figure="refused",{labels}}} 50.0')
    # Not judged yet.
    assert not await metric(client, 'prediction_watch_worse{figure="corrected"')
    await asyncio.sleep(5 * watch._SECONDS)
    assert newest(engine).action == "promote"
    told = (await client.get("/api/v1/releases/oral_cancer/watch")).json()
    assert (told["release"], told["former"], told["rolls_back"]) == (NEW, OLD, False)
    refused = next(each for each in told["figures"] if each["figure"] == "refused")
    assert refused["verdict"] == "worse"
    assert refused["current_answers"] == 50
    missing = await client.get("/api/v1/releases/no_such/watch")
    assert missing.status_code == 404


@pytest.mark.anyio
async def test_it_is_rolled_back_once_by_one_of_two_gateways_with_its_evidence(
    start, engine, worse
):
    clients = [
        await start(watch_rollback=("*",), settled=False),
        await start(watch_rollback=("oral_cancer",), settled=False),
    ]

    async def rolled_back():
        return newest(engine).action == "rollback"

    await until(rolled_back)
    await asyncio.sleep(5 * watch._SECONDS)
    last = newest(engine)
    assert (last.state.current, last.state.former, last.by) == (OLD, NEW, "watch")
    assert f"worse than {OLD}" in last.evidence
    assert "refused" in last.evidence
    assert "of 50 answers" in last.evidence
    assert last.state.revision == 4
    rows = (await clients[0].get("/api/v1/audit", params={"event": "release"})).json()["rows"]
    made = [row["parameters"] for row in rows if row["refusal"] is None]
    assert made == [{"action": "rollback", "release": NEW}]
    for client in clients:
        undone = f'prediction_watch_rolled_back{{pipeline="oral_cancer",release="{NEW}"}} 1.0'
        await until(lambda client=client, undone=undone: metric(client, undone))
        assert not await metric(client, "prediction_watch_worse{")
        told = (await client.get("/api/v1/releases/oral_cancer/watch")).json()
        assert (told["release"], told["figures"]) == (None, [])


@pytest.mark.anyio
async def test_what_somebody_changes_meanwhile_is_not_undone(start, engine, worse, monkeypatch):
    with changes_in_database() as change:
        seen = []
        judged = ReleaseWatch._judged

        def slow(self, pipeline):
            found = judged(self, pipeline)
            if not seen:
                # After the watch has looked, and before it acts.
                seen.append(found)
                change("retire", changes.retire(OLD))
                change("stage", changes.stage("3-cccccccc"))
                change("promote", changes.promote())
            return found

        monkeypatch.setattr(ReleaseWatch, "_judged", slow)
        await start(watch_rollback=("*",), settled=False)

        async def looked():
            return seen

        await until(looked)
        await asyncio.sleep(5 * watch._SECONDS)
        last = newest(engine)
        assert (last.action, last.state.current, last.state.former) == (
            "promote",
            "3-cccccccc",
            NEW,
        )


@pytest.mark.anyio
async def test_a_former_release_that_was_retired_is_not_gone_back_to(start, engine, history, worse):
    history.changed("retire", now(), current=NEW)
    client = await start(watch_rollback=("*",), settled=False)
    await until(lambda: metric(client, 'prediction_watch_worse{figure="refused"'))
    await asyncio.sleep(5 * watch._SECONDS)
    assert newest(engine).action == "retire"
