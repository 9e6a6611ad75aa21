"""Verification of the audit log: what was changed, removed, moved or cut off, and where."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine, RowMapping, select

from database.chain import Receipt, Statement, genesis_hash, is_signed, row_hash
from database.engine import reading
from database.tables import chains, checkpoints, predictions

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written."""

    chain: str
    position: int
    """Of the row; 0 is the chain's beginning."""
    text: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    chains: int
    rows: int
    findings: list[Finding]


@dataclass(slots=True)
class _Chain:
    """A chain while it is verified: how far, and what others state about positions to come."""

    name: str
    begun: Mapping[str, Any] | None = None
    """Its beginning; None where that is not there."""
    removed: Receipt | None = None
    """The last row that retention removed."""
    stated: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    """By position: heads, and who states them."""
    position: int = 0
    head: str | None = None
    """None where the row before is not there to be compared with."""


def verify(
    engine: Engine, key: Ed25519PublicKey | None, statements: Iterable[Mapping[str, Any]] = ()
) -> Verified:
    """Verifies all chains of a database.

    Args:
        engine: of the database. Gateways may go on writing.
        key: the public key that checkpoints and receipts are signed by; None: signatures, and so
            whether rows were removed by retention or by somebody else, are not looked at.
        statements: receipts, and checkpoints from the logs, that others have kept.
    """
    return _Verification(key).run(engine, statements)


class _Verification:
    def __init__(self, key: Ed25519PublicKey | None) -> None:
        self._key = key
        self._chains: dict[str, _Chain] = {}
        self._findings: list[Finding] = []

    def run(self, engine: Engine, statements: Iterable[Mapping[str, Any]]) -> Verified:
        # What says how far chains go is read before the rows, which may become more meanwhile.
        with reading(engine).connect() as connection:
            begun = connection.execute(select(chains)).mappings().all()
            for row in begun:
                self._begin(row)
            for row in connection.execute(select(checkpoints)).mappings():
                self._take_checkpoint(row)
        for statement in statements:
            self._take_receipt(statement)
        with reading(engine).connect() as connection:
            for name in connection.scalars(select(predictions.c.chain).distinct()):
                self._chain(name)
        rows = 0
        for _, chain in sorted(self._chains.items()):
            self._compare_beginning(chain)
            for row in _rows(engine, chain.name):
                rows += 1
                self._check(chain, row)
            for position, stated in sorted(chain.stated.items()):
                text = f"the row is missing: {stated[0][1]} states it, and the chain ends before it"
                self._find(chain.name, position, text)
        return Verified(len(self._chains), rows, self._findings)

    def _find(self, chain: str, position: int, text: str) -> None:
        self._findings.append(Finding(chain, position, text))

    def _chain(self, name: str) -> _Chain:
        return self._chains.setdefault(name, _Chain(name))

    def _state(self, receipt: Receipt, who: str) -> None:
        stated = self._chain(receipt.chain).stated
        stated.setdefault(receipt.position, []).append((receipt.head, who))

    def _begin(self, row: RowMapping) -> None:
        chain = self._chain(row["chain"])
        chain.begun = dict(row)
        if genesis_hash(chain.begun) != row["genesis"]:
            self._find(chain.name, 0, "the chain's beginning was changed")
        if row["previous_chain"] is not None:
            before = Receipt(row["previous_chain"], row["previous_position"], row["previous_head"])
            self._state(before, f"the beginning of chain {chain.name}")

    def _take_checkpoint(self, row: RowMapping) -> None:
        receipt = Receipt(row["chain"], row["position"], row["head"])
        kind = row["kind"]
        signed = self._key is None or is_signed(
            self._key, kind, receipt, row["at"], row["signature"]
        )
        if not signed:
            text = f"the checkpoint ({kind}) is not signed by this service's key"
            self._find(receipt.chain, receipt.position, text)
            return
        self._state(receipt, f"a checkpoint ({kind})")
        chain = self._chain(receipt.chain)
        last = chain.removed.position if chain.removed else 0
        if kind == Statement.RETENTION and receipt.position > last:
            chain.removed = receipt

    def _take_receipt(self, stated: Mapping[str, Any]) -> None:
        receipt = Receipt(stated["chain"], stated["position"], stated["head"])
        if self._key is not None and "signature" in stated:
            what, at, signature = (
                str(stated.get(name)) for name in ("statement", "at", "signature")
            )
            if not at.isdigit() or not is_signed(self._key, what, receipt, int(at), signature):
                text = "the receipt is not signed by this service's key"
                self._find(receipt.chain, receipt.position, text)
                return
        self._state(receipt, "the receipt")

    def _compare_beginning(self, chain: _Chain) -> None:
        if chain.begun is None:
            self._find(chain.name, 0, "the chain's beginning is missing")
        else:
            chain.head = chain.begun["genesis"]
            self._compare(chain, 0, chain.head)
        if chain.removed is None:
            return
        chain.position, chain.head = chain.removed.position, chain.removed.head
        # Of what retention removed, only the last hash is still there to be compared with.
        self._compare(chain, chain.position, chain.head)
        for position in [each for each in chain.stated if each < chain.position]:
            del chain.stated[position]

    def _compare(self, chain: _Chain, position: int, found: str | None) -> None:
        for head, who in chain.stated.pop(position, ()):
            if head != found:
                self._find(chain.name, position, f"{who} states another hash of the row")

    def _check(self, chain: _Chain, row: RowMapping) -> None:
        position, expected = row["position"], chain.position + 1
        if position < expected:
            text = "the row is there, although retention removed all up to a later one"
            self._find(chain.name, position, text)
            return
        if position > expected:
            text = "the row is missing"
            if position - 1 > expected:
                text = f"the rows from {expected} to {position - 1} are missing"
            self._find(chain.name, expected, text)
            for missing in [each for each in chain.stated if each < position]:
                del chain.stated[missing]
        changed = row_hash(dict(row)) != row["hash"]
        if changed:
            self._find(chain.name, position, "the row was changed")
        elif position == expected and chain.head not in {None, row["previous"]}:
            text = "the row does not follow the one before it: one of them was replaced"
            self._find(chain.name, position, text)
        self._compare(chain, position, row["hash"])
        # What follows a changed row need not be told, too.
        chain.position, chain.head = position, None if changed else row["hash"]


def read_statements(text: str) -> list[dict[str, Any]]:
    """Receipts in a text: answers, receipts or lines of the log, one JSON object or one a line.

    Raises:
        ValueError: there is none.
    """
    try:
        objects = [json.loads(text)]
    except ValueError:
        objects = [_object(line) for line in text.splitlines()]
    found = list(_statements(objects))
    if not found:
        raise ValueError("there is no receipt")
    return found


def _object(line: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(line)
    except ValueError:
        # Logs may have lines of others between.
        return None


def _statements(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        for each in value:
            yield from _statements(each)
    elif isinstance(value, dict):
        types = {"chain": str, "position": int, "head": str}
        if all(isinstance(value.get(name), kind) for name, kind in types.items()):
            yield value
        else:
            yield from _statements(list(value.values()))


def _rows(engine: Engine, chain: str) -> Iterator[RowMapping]:
    last = -1
    while True:
        statement = (
            select(predictions)
            .where(predictions.c.chain == chain, predictions.c.position > last)
            .order_by(predictions.c.position)
            .limit(_PAGE)
        )
        with reading(engine).connect() as connection:
            page = connection.execute(statement).mappings().all()
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]["position"]
