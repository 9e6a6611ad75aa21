"""Each way to tamper with the audit log is found, with the position of the row."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, update

from database.chain import Receipt, Statement, row_hash, sign
from database.engine import open_engine
from database.retention import retain
from database.tables import chains, checkpoints, predictions
from database.verification import Finding, read_statements, verify
from database.writer import Writer
from tests.unit.database.rows import row

pytestmark = pytest.mark.anyio

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()
ROWS = 12


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


async def wrote(engine, rows=ROWS, *, at=None):
    """A chain with as many rows, and its receipts."""
    writer = Writer(engine, "gateway")
    writer.start()
    more = {} if at is None else {"at": at}
    receipts = [await writer.write(row(**more)) for _ in range(rows)]
    await writer.close()
    return receipts


@pytest.fixture
async def receipts(engine):
    return await wrote(engine)


def execute(engine, statement):
    with engine.begin() as connection:
        assert connection.execute(statement).rowcount != 0


def of(position):
    return predictions.c.position == position


def checkpoint(engine, receipt, kind=Statement.HEAD, key=KEY):
    signed = sign(key, kind, receipt, 1)
    row = {name: signed[name] for name in ("chain", "position", "head", "at", "key", "signature")}
    execute(engine, insert(checkpoints).values(kind=kind, **row))


def found(engine, *statements, key=PUBLIC):
    return [(each.position, each.text) for each in verify(engine, key, statements).findings]


async def test_a_log_as_it_was_written_verifies(engine, receipts):
    await wrote(engine, 3)
    checkpoint(engine, receipts[4])
    verified = verify(engine, PUBLIC, [receipts[0].as_json(), receipts[-1].as_json()])
    assert verified.findings == []
    assert (verified.chains, verified.rows) == (2, ROWS + 3)


CHANGES = {
    "result": '{"prediction":"healthy"}',
    "release": "2024.1-abcdeg",
    "at": 7,
    "tenant": "wars",
    "input_digest": "b" * 63 + "c",
    "refusal": "busy",
    "kept": True,
    "compute_seconds": 0.1250000001,
    "request_id": "r2",
    "id": "other",
    "previous": "0" * 64,
    "hash": "0" * 64,
}


@pytest.mark.parametrize("column", CHANGES)
async def test_a_changed_value_is_found(engine, receipts, column):
    execute(engine, update(predictions).where(of(5)).values({column: CHANGES[column]}))
    assert (5, "the row was changed") in found(engine)


async def test_a_changed_row_whose_hash_was_made_anew_is_found(engine, receipts):
    with engine.connect() as connection:
        changed = dict(connection.execute(select(predictions).where(of(5))).mappings().one())
    changed["result"] = "{}"
    new = {"result": "{}", "hash": row_hash(changed)}
    execute(engine, update(predictions).where(of(5)).values(new))
    ((position, text),) = found(engine)
    assert (position, "does not follow" in text) == (6, True)
    assert (5, "the receipt states another hash of the row") in found(engine, receipts[4].as_json())


async def test_a_deleted_row_is_found(engine, receipts):
    execute(engine, delete(predictions).where(of(5)))
    assert found(engine) == [(5, "the row is missing")]


async def test_deleted_rows_are_found(engine, receipts):
    execute(engine, delete(predictions).where(predictions.c.position.between(1, 3)))
    assert found(engine) == [(1, "the rows from 1 to 3 are missing")]


async def test_swapped_rows_are_found(engine, receipts):
    for old, new in ((5, 1000), (6, 5), (1000, 6)):
        execute(engine, update(predictions).where(of(old)).values(position=new))
    assert [position for position, _ in found(engine)] == [5, 6]


async def test_an_inserted_row_is_found(engine, receipts):
    forged = row() | {"chain": receipts[0].chain, "position": ROWS + 1, "previous": "0" * 64}
    forged["hash"] = row_hash(forged)
    execute(engine, insert(predictions).values(forged))
    ((position, text),) = found(engine)
    assert (position, "does not follow" in text) == (ROWS + 1, True)


CUT = (ROWS, "the row is missing: {} states it, and the chain ends before it")


async def test_a_cut_tail_is_found_by_a_receipt_alone(engine, receipts):
    execute(engine, delete(predictions).where(predictions.c.position > 9))
    assert found(engine) == []
    assert found(engine, receipts[-1].as_json()) == [(ROWS, CUT[1].format("the receipt"))]


async def test_a_cut_tail_is_found_by_a_checkpoint(engine, receipts):
    checkpoint(engine, receipts[-1])
    execute(engine, delete(predictions).where(predictions.c.position > 9))
    assert found(engine) == [(ROWS, CUT[1].format("a checkpoint (head)"))]


async def test_a_cut_tail_is_found_by_the_next_start(engine, receipts):
    (other,) = await wrote(engine, 1)
    execute(engine, delete(predictions).where(of(ROWS)))
    who = f"the beginning of chain {other.chain}"
    assert found(engine) == [(ROWS, CUT[1].format(who))]


async def test_a_chain_that_was_removed_altogether_is_found(engine, receipts):
    await wrote(engine, 1)
    chain = receipts[0].chain
    execute(engine, delete(predictions).where(predictions.c.chain == chain))
    execute(engine, delete(chains).where(chains.c.chain == chain))
    findings = verify(engine, PUBLIC).findings
    assert {finding.chain for finding in findings} == {chain}
    assert [finding.position for finding in findings] == [0, ROWS]


async def test_a_changed_beginning_is_found(engine, receipts):
    execute(engine, update(chains).values(gateway="other"))
    assert found(engine) == [(0, "the chain's beginning was changed")]


async def test_a_forged_checkpoint_is_found(engine, receipts):
    checkpoint(engine, receipts[4], key=Ed25519PrivateKey.generate())
    assert found(engine) == [(5, "the checkpoint (head) is not signed by this service's key")]


async def test_a_forged_receipt_is_told(engine, receipts):
    signed = sign(KEY, Statement.RECEIPT, receipts[4], 1)
    assert found(engine, signed) == []
    forged = signed | {"head": "0" * 64}
    assert found(engine, forged) == [(5, "the receipt is not signed by this service's key")]
    for broken in ({"at": None}, {"signature": "no base64"}, {"statement": 7}):
        assert found(engine, signed | broken)[0][0] == 5


async def test_retention_removes_whole_segments_and_the_rest_verifies(engine):
    old = await wrote(engine, at=1000)
    for receipt in (old[3], old[7]):
        checkpoint(engine, receipt)
    new = await wrote(engine, 3, at=5000)
    assert retain(engine, KEY, before=2000) == 8
    assert found(engine, old[1].as_json(), old[9].as_json(), new[2].as_json()) == []
    with engine.connect() as connection:
        kept = connection.scalars(select(predictions.c.position).order_by(predictions.c.id)).all()
    assert kept == [9, 10, 11, 12, 1, 2, 3]
    assert retain(engine, KEY, before=2000) == 0
    execute(engine, delete(predictions).where(of(9)))
    assert found(engine) == [(9, "the row is missing")]


async def test_retention_removes_much_in_steps_and_keeps_the_last_statement(engine, monkeypatch):
    monkeypatch.setattr("database.retention.SEGMENT_ROWS", 4)
    old = await wrote(engine, at=1000)
    for receipt in (old[0], old[1], old[8], old[9], old[11]):
        checkpoint(engine, receipt)
    assert retain(engine, KEY, before=2000) == ROWS
    with engine.connect() as connection:
        left = connection.execute(select(checkpoints)).all()
    assert {(each.kind, each.position) for each in left} == {("retention", ROWS), ("head", ROWS)}
    assert found(engine, old[-1].as_json(), old[3].as_json()) == []
    assert found(engine, old[-1].as_json() | {"head": "0" * 64})[0][0] == ROWS


async def test_retention_keeps_a_segment_with_a_row_that_is_not_old(engine, receipts):
    checkpoint(engine, receipts[5])
    execute(engine, update(predictions).where(of(3)).values(at=1))
    assert retain(engine, KEY, before=2000) == 0


async def test_rows_that_others_removed_as_if_by_retention_are_found(engine, receipts):
    checkpoint(engine, receipts[5])
    execute(engine, delete(predictions).where(predictions.c.position <= 6))
    assert found(engine) == [(1, "the rows from 1 to 6 are missing")]
    checkpoint(engine, receipts[5], Statement.RETENTION, key=Ed25519PrivateKey.generate())
    assert (1, "the rows from 1 to 6 are missing") in found(engine)


async def test_a_new_start_follows_a_chain_whose_rows_retention_removed(engine):
    old = await wrote(engine, at=1000)
    checkpoint(engine, old[-1])
    assert retain(engine, KEY, before=2000) == ROWS
    await wrote(engine, 1)
    assert found(engine) == []


@pytest.mark.parametrize(
    "form",
    [
        json.dumps,
        lambda receipt: json.dumps({"prediction": "cancer", "receipt": receipt}, indent=2),
        lambda receipt: json.dumps({"results": [{"receipt": receipt}]}),
        lambda receipt: (
            f'{{"event": "request"}}\n{json.dumps({"event": "checkpoint"} | receipt)}\n'
        ),
    ],
)
def test_receipts_are_read_out_of_answers_and_logs(form):
    receipt = Receipt("c", 3, "h").as_json()
    ((found),) = read_statements(form(receipt))
    assert {name: found[name] for name in receipt} == receipt


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"chain": 1, "position": 2, "head": 3}'])
def test_a_text_without_a_receipt_is_told(text):
    with pytest.raises(ValueError, match="no receipt"):
        read_statements(text)


def test_findings_name_the_chain():
    assert Finding("c", 1, "t").chain == "c"
