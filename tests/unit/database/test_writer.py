"""The writer, on SQLite and on a real PostgreSQL: what it promises, and what it does in trouble."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from database.chain import Receipt
from database.engine import open_engine
from database.outages import DatabaseUnavailableError, RowRefusedError
from database.tables import chains, checkpoints, predictions
from database.writer import Observer, Writer
from tests.unit.database.rows import row

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Counted(Observer):
    def __init__(self):
        self.transactions, self.failures, self.refusals = [], 0, 0

    def committed(self, rows, seconds):
        self.transactions.append(rows)

    def failed(self):
        self.failures += 1

    def refused(self):
        self.refusals += 1


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@asynccontextmanager
async def writing(engine, **options):
    writer = Writer(engine, "gateway", Counted(), **options)
    writer.seen = writer._observer
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


def stored(engine):
    statement = select(predictions).order_by(predictions.c.chain, predictions.c.position)
    with engine.connect() as connection:
        return connection.execute(statement).all()


class Outage:
    """While it is on, the database refuses as one that was stopped, or whose disk is full."""

    def __init__(self, engine):
        self.on = False
        self.after_commit = False
        event.listen(engine, "before_cursor_execute", self._execute)
        event.listen(engine, "commit", self._commit)

    def _fail(self):
        raise OperationalError("statement", {}, Exception("the database was stopped"))

    def _execute(self, *_):
        if self.on:
            self._fail()

    def _commit(self, connection):
        if self.after_commit and connection.info.pop("rows", False):
            self.after_commit = False
            connection.connection.dbapi_connection.commit()
            self._fail()


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the thread sets no event
            await asyncio.sleep(0.01)


async def test_a_row_is_there_when_its_receipt_is(engine):
    async with writing(engine) as writer:
        written = row()
        receipt = await writer.write(written)
        (found,) = stored(engine)
        assert found.id == written["id"]
        assert (found.chain, found.position, found.hash) == (
            receipt.chain,
            receipt.position,
            receipt.head,
        )
        assert receipt == writer.receipt
        assert receipt.position == 1


async def test_rows_that_wait_share_a_commit_and_follow_each_other(engine):
    async with writing(engine) as writer:
        receipts = await asyncio.gather(*(writer.write(row()) for _ in range(40)))
        assert [receipt.position for receipt in receipts] == list(range(1, 41))
        assert sum(writer.seen.transactions) == 40
        assert len(writer.seen.transactions) < 10
        found = stored(engine)
        assert [each.previous for each in found[1:]] == [each.hash for each in found[:-1]]


async def test_all_rows_of_a_request_are_written_or_none(engine):
    async with writing(engine) as writer:
        with pytest.raises(RowRefusedError):
            await writer.write_all([row(), row(pipeline=None)])
        receipts = await writer.write_all([row(), row()])
        assert [receipt.position for receipt in receipts] == [1, 2]
        assert len(stored(engine)) == 2


@pytest.mark.parametrize(
    "poison",
    [
        {"pipeline": None},
        {"input_bytes": 2**70},
        {"result": "\ud800"},
        {"compute_seconds": float("nan")},
    ],
    ids=["constraint", "number", "text", "no number"],
)
async def test_a_poison_row_is_refused_alone(engine, poison):
    async with writing(engine) as writer:
        rows = [row() for _ in range(20)]
        rows[7] |= (
            poison if poison != {"compute_seconds": "nan"} else {"compute_seconds": float("nan")}
        )
        results = await asyncio.gather(*map(writer.write, rows), return_exceptions=True)
        assert isinstance(results[7], RowRefusedError)
        others = results[:7] + results[8:]
        assert sorted(receipt.position for receipt in others) == list(range(1, 20))
        assert {each.id for each in stored(engine)} == {
            each["id"] for index, each in enumerate(rows) if index != 7
        }
        assert writer.available
        assert writer.seen.refusals == 1


async def test_a_nul_byte_stops_nobody_else(engine):
    async with writing(engine) as writer:
        results = await asyncio.gather(
            writer.write(row(tenant="a\x00b")), writer.write(row()), return_exceptions=True
        )
        assert results[1].head == stored(engine)[-1].hash
        # SQLite keeps it; PostgreSQL cannot.
        assert isinstance(results[0], RowRefusedError) == (engine.dialect.name == "postgresql")


async def test_an_id_is_written_once(engine):
    async with writing(engine) as writer:
        first = row()
        await writer.write(first)
        with pytest.raises(RowRefusedError):
            await writer.write(first)
        assert (await writer.write(row())).position == 2


async def test_a_function_shares_the_transactions_and_fails_alone(engine):
    names = ("chain", "kind", "head", "key", "signature")
    checkpoint = dict.fromkeys(names, "x") | {"position": 1, "at": 1}

    def add(connection):
        connection.execute(insert(checkpoints), checkpoint)
        return connection.scalar(select(checkpoints.c.head))

    async with writing(engine) as writer:
        results = await asyncio.gather(
            writer.run(add), writer.run(add), writer.write(row()), return_exceptions=True
        )
        assert results[0] == "x"
        assert isinstance(results[1], IntegrityError)
        assert results[2].position == 1
        assert writer.seen.failures == 0


async def test_what_goes_with_rows_is_written_with_them_or_not_at_all(engine):
    names = ("chain", "kind", "key", "signature")

    def note(connection, receipts):
        head = {"position": receipts[-1].position, "head": receipts[-1].head, "at": 1}
        connection.execute(insert(checkpoints), dict.fromkeys(names, "x") | head)

    def fail(connection, receipts):
        note(connection, receipts)
        raise ValueError("no answer")

    async with writing(engine) as writer:
        first, failed, last = await asyncio.gather(
            writer.write_all([row(), row()], note),
            writer.write_all([row()], fail),
            writer.write_all([row()], note),
            return_exceptions=True,
        )
        assert [receipt.position for receipt in first + last] == [1, 2, 3]
        assert isinstance(failed, ValueError)
        assert [each.hash for each in stored(engine)] == [each.head for each in first + last]
        with engine.connect() as connection:
            heads = connection.scalars(select(checkpoints.c.head).order_by(checkpoints.c.position))
            assert list(heads) == [first[-1].head, last[-1].head]
        with pytest.raises(RowRefusedError):
            await writer.write_all([row(pipeline=None)], note)
        assert len(stored(engine)) == 3


async def test_what_goes_with_rows_is_tried_again_with_them(engine):
    """A poison row beside them fails the transaction that they shared."""
    calls = []
    async with writing(engine) as writer:
        results = await asyncio.gather(
            *(
                writer.write_all([row()], lambda _, receipts: calls.append(receipts[0]))
                for _ in range(3)
            ),
            writer.write(row(pipeline=None)),
            return_exceptions=True,
        )
        assert isinstance(results[3], RowRefusedError)
        # What counts is the last call of each.
        assert {receipt for (receipt,) in results[:3]} <= set(calls)
        assert {each.hash for each in stored(engine)} == {each.head for (each,) in results[:3]}


async def test_while_nothing_can_be_written_rows_are_refused_at_once_and_later_written(engine):
    outage = Outage(engine)
    async with writing(engine, patience=0.5) as writer:
        await writer.write(row())
        outage.on = True
        with pytest.raises(DatabaseUnavailableError):
            await writer.write(row())
        assert not writer.available
        with pytest.raises(DatabaseUnavailableError):
            await writer.write(row())
        assert writer.waiting == 0
        assert not writer.write_soon(row())
        outage.on = False
        await until(lambda: writer.available)
        assert (await writer.write(row())).position == 2
    assert len(stored(engine)) == 2


async def test_a_short_outage_costs_nobody_their_answer(engine):
    outage = Outage(engine)
    async with writing(engine) as writer:
        await writer.write(row())
        outage.on = True
        writes = [asyncio.ensure_future(writer.write(row())) for _ in range(5)]
        await until(lambda: writer.seen.failures)
        outage.on = False
        receipts = await asyncio.gather(*writes)
        assert [receipt.position for receipt in receipts] == [2, 3, 4, 5, 6]
    assert len(stored(engine)) == 6


async def test_rows_of_a_commit_whose_answer_was_lost_are_written_once(engine):
    outage = Outage(engine)

    @event.listens_for(engine, "before_cursor_execute")
    def mark(connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO predictions"):
            connection.info["rows"] = True

    async with writing(engine) as writer:
        await writer.write(row())
        outage.after_commit = True
        receipts = await asyncio.gather(*(writer.write(row()) for _ in range(3)))
        assert sorted(receipt.position for receipt in receipts) == [2, 3, 4]
        assert (await writer.write(row())).position == 5
        found = stored(engine)
        assert {each.hash for each in found[1:4]} == {receipt.head for receipt in receipts}
        assert len(found) == 5


async def test_a_full_disk_is_an_outage_and_ends(sqlite_url):
    engine = open_engine(sqlite_url)
    limits = []

    @event.listens_for(engine, "connect")
    def limit(connection, _):
        for pages in limits:
            connection.execute(f"PRAGMA max_page_count={pages}")

    async with writing(engine, patience=0.5) as writer:
        await writer.write(row())
        await writer.run(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1"))
        limits.append(1)  # as few as it has
        results = []
        while not results or isinstance(results[-1], Receipt):
            write = writer.write(row(result="x" * 3000))
            results += await asyncio.gather(write, return_exceptions=True)
        assert isinstance(results[-1], DatabaseUnavailableError)
        await until(lambda: not writer.available)
        limits[:] = [2**30]
        await until(lambda: writer.available)
        await writer.write(row())
        assert len(stored(engine)) == len(results) + 1
    engine.dispose()


async def test_rows_that_wait_are_bounded(engine):
    outage = Outage(engine)
    async with writing(engine, capacity=10, patience=0.3) as writer:
        await writer.write(row())
        outage.on = True
        writes = [asyncio.ensure_future(writer.write(row())) for _ in range(30)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(result) for result in results} == {DatabaseUnavailableError}
        # On a busy machine callers give up before the thread does.
        await until(lambda: writer.waiting == 0)
        outage.on = False
        await until(lambda: writer.available)


async def test_closing_writes_what_waits(engine):
    async with writing(engine) as writer:
        for _ in range(20):
            assert writer.write_soon(row())
    assert len(stored(engine)) == 20
    with pytest.raises(DatabaseUnavailableError):
        await writer.write(row())


async def test_each_start_is_a_chain_that_names_how_far_the_one_before_had_come(engine):
    receipts = []
    for _ in range(2):
        async with writing(engine) as writer:
            await writer.write(row())
            receipts.append(await writer.write(row()))
    async with writing(engine) as writer:
        await writer.run(lambda _: None)
    with engine.connect() as connection:
        first, second, third = connection.execute(select(chains).order_by(chains.c.at)).all()
    assert first.previous_chain is None
    for chain, receipt in zip((second, third), receipts, strict=True):
        assert (chain.previous_chain, chain.previous_position, chain.previous_head) == (
            receipt.chain,
            receipt.position,
            receipt.head,
        )


def test_no_two_starts_have_the_same_chain(sqlite_url):
    engine = open_engine(sqlite_url)
    assert len({Writer(engine, "gateway").chain for _ in range(100)}) == 100


async def test_two_gateways_write_into_one_database_at_a_time(engine):
    async with writing(engine) as one, writing(engine) as other:
        writers = [one, other] * 20
        receipts = await asyncio.gather(*(writer.write(row()) for writer in writers))
        for writer in one, other:
            own = [each.position for each in receipts if each.chain == writer.chain]
            assert sorted(own) == list(range(1, 21))


async def test_a_server_that_ends_all_connections_costs_no_row(postgres_url):
    engine = open_engine(postgres_url)
    async with writing(engine) as writer:
        await writer.write(row())
        with engine.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        receipts = await asyncio.gather(*(writer.write(row()) for _ in range(3)))
        assert [receipt.position for receipt in receipts] == [2, 3, 4]
    engine.dispose()
