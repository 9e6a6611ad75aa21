"""All tables. Times are UTC in microseconds since 1970; JSON is stored as canonical text."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_DIGEST = String(64)
"""SHA-256 in hexadecimal."""
_CHAIN = String(96)

chains = Table(
    "chains",
    METADATA,
    Column("chain", _CHAIN, primary_key=True),
    Column("gateway", String(64), nullable=False),  # GATEWAY_NAME of who writes it
    Column("at", BigInteger, nullable=False),
    Column("previous_chain", _CHAIN),  # the chain that was begun before this one
    Column("previous_position", BigInteger),  # how far it had come then
    Column("previous_head", _DIGEST),
    Column("genesis", _DIGEST, nullable=False),  # hash of all of the above
    Column("ballast", Text),  # written for a moment, to try whether rows can be written
)
"""One chain of audit rows for each start of a gateway."""

predictions = Table(
    "predictions",
    METADATA,
    Column("id", String(36), primary_key=True),  # UUIDv7, made by the gateway
    Column("chain", _CHAIN, nullable=False),
    Column("position", BigInteger, nullable=False),  # from 1 on, without gaps
    Column("at", BigInteger, nullable=False),
    Column("event", String(16), nullable=False),  # prediction, feedback, audit_read and so on
    Column("principal_id", String(128), nullable=False),
    Column("principal_kind", String(16), nullable=False),
    Column("credential", String(128), nullable=False),  # id of the key, `jti` of the token
    Column("tenant", String(128), nullable=False),  # name of the caller's key
    Column("request_id", String(64), nullable=False),
    Column("transport", String(8), nullable=False),  # http, kserve, grpc
    Column("route", String(32), nullable=False),
    Column("pipeline", String(64), nullable=False),
    Column("release", String(128)),
    Column("release_sha256", _DIGEST),
    Column("input_digest", _DIGEST),  # HMAC-SHA256 of the encoded bytes, by the pepper
    Column("input_bytes", BigInteger),
    Column("input_format", String(16)),
    Column("parameters", Text, nullable=False),  # JSON
    Column("result", Text),  # JSON: what the answer says, without pictures and masks
    Column("refusal", String(64)),  # code of the problem
    Column("stages", Text, nullable=False),  # JSON: seconds by stage
    Column("compute", Text),  # JSON: seconds and device by member
    Column("compute_seconds", Double),  # sum of the members'
    Column("kept", Boolean, nullable=False),  # whether the image was kept, by consent
    Column("previous", _DIGEST, nullable=False),  # hash of the row before
    Column("hash", _DIGEST, nullable=False),  # of all of the above
    UniqueConstraint("chain", "position"),
    Index(None, "at"),
    Index(None, "principal_id", "id"),
)
"""The audit log: one row for each image, and for each reading of the log."""

checkpoints = Table(
    "checkpoints",
    METADATA,
    Column("chain", _CHAIN, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),  # head, retention
    Column("head", _DIGEST, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("key", String(16), nullable=False),  # id of the public key
    Column("signature", String(128), nullable=False),  # Ed25519, base64
)
"""Signed heads of chains, and the ends of segments that retention removed."""

api_keys = Table(
    "api_keys",
    METADATA,
    Column("id", String(16), primary_key=True),  # in the key's text; not secret
    Column("line", String(16), nullable=False),  # id of the first of those that rotation made
    Column("name", String(64), nullable=False),  # the owner
    Column("roles", Text, nullable=False),  # separated by spaces
    Column("pipelines", Text),  # separated by spaces; none is all
    Column("rate", String(32)),
    Column("budget", String(32)),
    Column("digest", _DIGEST, nullable=False),  # HMAC-SHA256 of the key's text, by the pepper
    Column("legacy", Boolean, nullable=False),  # of the keys file: HMAC-SHA256 of its SHA-256
    Column("pepper", String(16), nullable=False),  # id of the pepper
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("certificate", String(255)),  # name of a client certificate, which is this key
    UniqueConstraint("digest"),
)
"""The API keys, without their text."""

rate_slots = Table(
    "rate_slots",
    METADATA,
    Column("caller", String(128), primary_key=True),  # id of the principal
    Column("seconds", Integer, primary_key=True),  # time of the rate
    Column("ends_at", BigInteger, primary_key=True),  # end of a part of it
    Column("images", Integer, nullable=False),
)
"""How many images callers with a rate asked about lately; of each caller about sixty rows."""

api_key_changes = Table(
    "api_key_changes",
    METADATA,
    Column("id", Integer, primary_key=True),  # 1
    Column("count", BigInteger, nullable=False),
)
"""One row: how often the keys were changed. When it has moved, gateways read the keys again."""

idempotency = Table(
    "idempotency",
    METADATA,
    Column("id", LargeBinary, primary_key=True),  # HMAC of caller, route, pipeline and key
    Column("asked", LargeBinary, nullable=False),  # HMAC of images and parameters
    Column("claim", LargeBinary, nullable=False),  # whose turn it is to answer: random
    Column("expires_at", BigInteger, nullable=False),
    Column("answer", LargeBinary),  # encrypted by the caller's key; null until it is there
    Index(None, "expires_at"),
)
"""Idempotency keys: a claim until it ends, or an answer for as long as it is kept."""

feedback = Table(
    "feedback",
    METADATA,
    Column("id", String(36), primary_key=True),  # of its row in the audit log
    Column("prediction_id", String(36), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "prediction_id"),
)
"""Which rows of the audit log are feedback to which prediction. What was found is in those rows."""

feedback_comments = Table(
    "feedback_comments",
    METADATA,
    Column("feedback_id", String(36), ForeignKey("feedback.id"), primary_key=True),
    Column("salt", LargeBinary, nullable=False),  # of the digests in the audit log
    Column("reader", Text),  # who said so
    Column("comment", Text),
)
"""What of a feedback may name people. The audit log has keyed digests of it; rows here may go."""

kept_images = Table(
    "kept_images",
    METADATA,
    Column("prediction_id", String(36), primary_key=True),
    Column("pipeline", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("name", String(128), nullable=False),  # in the store
    Column("key_id", String(16), nullable=False),  # of the key file's key that wraps
    Column("wrapped_key", LargeBinary),  # None: destroyed, and with it the image
    Column("deleted_at", BigInteger),
    Index(None, "expires_at"),
)
"""Images that were kept with their callers' consent. The images are in the store, encrypted."""

usage_hours = Table(
    "usage_hours",
    METADATA,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # hours since 1970
    Column("caller", String(128), primary_key=True),  # the principal's id
    Column("name", String(128), primary_key=True),  # the owner
    Column("pipeline", String(64), primary_key=True),
    Column("release", String(128), primary_key=True),  # "" where none answered
    Column("format", String(16), primary_key=True),
    Column("outcome", String(64), primary_key=True),  # ok, or the problem's code
    Column("level", String(16), primary_key=True),  # of uncertainty; "" where there is none
    Column("images", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("cpu_seconds", Double, nullable=False),
    Column("gpu_seconds", Double, nullable=False),
    Column("estimated_seconds", Double, nullable=False),  # of the two
    Index(None, "caller", "hour"),
)
"""Sums over the rows of the audit log, by the hour."""

usage_cursors = Table(
    "usage_cursors",
    METADATA,
    Column("chain", _CHAIN, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""The last position of each chain that is in `usage_hours`."""

release_changes = Table(
    "release_changes",
    METADATA,
    Column("pipeline", String(64), primary_key=True),
    Column("profile", String(64), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),  # one more with each
    Column("at", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),  # begin, stage, split and so on
    Column("release", String(128), nullable=False),  # the one that the action is about
    Column("current", String(128), nullable=False),  # from then on, as are the next three
    Column("former", String(128)),
    Column("candidate", String(128)),
    Column("share", Integer, nullable=False),  # of 10,000 parts of the callers, the candidate's
    # Of 10,000 answered images, those that the candidate gets copies of.
    Column("shadow", Integer, nullable=False, server_default="0"),
    Column("by", String(128), nullable=False),  # owner of the key, or user of the command
    Column("evidence", Text),  # what the change rests on
)
"""What became of the releases of a pipeline under a profile; the last row says how they are now.

Rows are only ever added. Of two changes at a time one has its revision, and the other is refused.
"""

shadow_counts = Table(
    "shadow_counts",
    METADATA,
    Column("pipeline", String(64), primary_key=True),
    Column("given", String(128), primary_key=True),  # release whose answers were given
    Column("candidate", String(128), primary_key=True),  # release that got copies
    Column("figure", String(16), primary_key=True),  # what is counted
    Column("bucket", String(16), primary_key=True),  # which of it
    Column("total", BigInteger, nullable=False),
)
"""How a candidate's answers to copies of images differ from those that were given: sums alone."""
