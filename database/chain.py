"""The hash chain of audit rows: what of a row is hashed, heads, receipts and their signatures.

Each gateway writes a chain of its own from each start on. A row's hash covers all that the row has,
with the hash of the row before: who changes, removes or moves a row changes all hashes behind it.
A chain begins with its genesis, which covers how far the chain begun before it had come.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_GENESIS = ("chain", "gateway", "at", "previous_chain", "previous_position", "previous_head")


class Statement(StrEnum):
    """What a signature says of a chain's head."""

    RECEIPT = "receipt"
    """The row at this position was written."""
    HEAD = "head"
    """The chain had come this far."""
    RETENTION = "retention"
    """All rows up to this position were removed by their age."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a row is in the log. Who keeps it can show that the row was removed or changed."""

    chain: str
    position: int
    head: str
    """Hash of the row, in hexadecimal; it covers all rows before."""

    def as_json(self) -> dict[str, Any]:
        """As answers show it."""
        return {"chain": self.chain, "position": self.position, "head": self.head}


@dataclass(frozen=True, slots=True)
class SignedReceipt(Receipt):
    """A receipt that who has the public key alone can check."""

    at: int
    """When the row was made, in microseconds since 1970."""
    key: str
    """The first 16 digits of the SHA-256 of the public key, in hexadecimal."""
    signature: str
    """Ed25519, in base64."""

    def as_json(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            **Receipt.as_json(self),
            "statement": str(Statement.RECEIPT),
            "at": self.at,
            "key": self.key,
            "signature": self.signature,
        }


def canonical(values: Mapping[str, Any]) -> bytes:
    """The one JSON text of values, without those that are None: new columns change no old hash."""
    present = {name: value for name, value in values.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def row_hash(row: Mapping[str, Any]) -> str:
    """The hash of a row, by all its other columns."""
    return hashlib.sha256(canonical({**row, "hash": None})).hexdigest()


def genesis_hash(chain: Mapping[str, Any]) -> str:
    """The hash that the first row of a chain follows."""
    return hashlib.sha256(canonical({name: chain[name] for name in _GENESIS})).hexdigest()


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(key: Ed25519PrivateKey, statement: Statement, receipt: Receipt, at: int) -> dict[str, Any]:
    """A head with the time (microseconds since 1970) and the signature of a statement about it."""
    return {
        **receipt.as_json(),
        "statement": str(statement),
        "at": at,
        "key": key_id(key.public_key()),
        "signature": _signature(key, statement, receipt, at),
    }


def signed_receipt(key: Ed25519PrivateKey, receipt: Receipt, at: int) -> SignedReceipt:
    """A receipt with the time of its row and a signature."""
    signature = _signature(key, Statement.RECEIPT, receipt, at)
    place = receipt.chain, receipt.position, receipt.head
    return SignedReceipt(*place, at, key_id(key.public_key()), signature)


def is_signed(
    key: Ed25519PublicKey, statement: str, receipt: Receipt, at: int, signature: str
) -> bool:
    """Whether a signature is of this key, statement, head and time."""
    try:
        key.verify(base64.b64decode(signature), _signed(statement, receipt, at))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signature(key: Ed25519PrivateKey, statement: Statement, receipt: Receipt, at: int) -> str:
    return base64.b64encode(key.sign(_signed(statement, receipt, at))).decode("ascii")


def _signed(statement: str, receipt: Receipt, at: int) -> bytes:
    return canonical({**receipt.as_json(), "statement": str(statement), "at": at})
