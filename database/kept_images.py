"""Records of kept images: functions of a connection that note, find and destroy their keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, exists, insert, select, update

from database.tables import kept_images, predictions

_ORPHAN_MICROSECONDS = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class KeptImage:
    """Where an image is, and the key that opens it."""

    prediction_id: str
    pipeline: str
    at: int
    expires_at: int
    name: str
    key_id: str
    wrapped_key: bytes


def add(connection: Connection, images: Iterable[KeptImage]) -> None:
    """Notes images that lie in the store."""
    rows = [
        {
            "prediction_id": each.prediction_id,
            "pipeline": each.pipeline,
            "at": each.at,
            "expires_at": each.expires_at,
            "name": each.name,
            "key_id": each.key_id,
            "wrapped_key": each.wrapped_key,
        }
        for each in images
    ]
    connection.execute(insert(kept_images), rows)


def any_kept(connection: Connection) -> bool:
    """Whether any image was ever kept."""
    return connection.execute(select(kept_images.c.prediction_id).limit(1)).first() is not None


def find(connection: Connection, prediction_id: str, now: int) -> KeptImage | None:
    """The image of a prediction; None where none was kept, or its key was destroyed or is due."""
    statement = select(kept_images).where(
        kept_images.c.prediction_id == prediction_id, kept_images.c.expires_at > now
    )
    row = connection.execute(statement).first()
    return None if row is None or row.wrapped_key is None else _image(row)


def destroy(connection: Connection, ids: Sequence[str], now: int) -> int:
    """Destroys the keys of images; how many there were."""
    chosen = kept_images.c.prediction_id.in_(ids) & kept_images.c.wrapped_key.is_not(None)
    gone = update(kept_images).where(chosen).values(wrapped_key=None, deleted_at=now)
    return connection.execute(gone).rowcount


def due(connection: Connection, now: int, limit: int) -> list[KeptImage]:
    """Images whose time is over, or whose prediction is in no audit log (any more)."""
    row = exists().where(predictions.c.id == kept_images.c.prediction_id)
    statement = (
        select(kept_images)
        .where(
            kept_images.c.wrapped_key.is_not(None),
            (kept_images.c.expires_at <= now)
            | ((kept_images.c.at < now - _ORPHAN_MICROSECONDS) & ~row),
        )
        .order_by(kept_images.c.prediction_id)
        .limit(limit)
    )
    return [_image(row) for row in connection.execute(statement)]


def wrapped_by_others(
    connection: Connection, key_id: str, after: str, limit: int
) -> list[KeptImage]:
    """Images whose key another key than this one wraps, from behind an id on."""
    statement = (
        select(kept_images)
        .where(
            kept_images.c.wrapped_key.is_not(None),
            kept_images.c.key_id != key_id,
            kept_images.c.prediction_id > after,
        )
        .order_by(kept_images.c.prediction_id)
        .limit(limit)
    )
    return [_image(row) for row in connection.execute(statement)]


def rewrap(connection: Connection, image: KeptImage, key_id: str, wrapped_key: bytes) -> None:
    """Replaces the wrapped key of an image, unless it was destroyed meanwhile."""
    same = (kept_images.c.prediction_id == image.prediction_id) & (
        kept_images.c.wrapped_key == image.wrapped_key
    )
    connection.execute(
        update(kept_images).where(same).values(key_id=key_id, wrapped_key=wrapped_key)
    )


def names(connection: Connection, chosen: Sequence[str]) -> set[str]:
    """Of names in the store those of images that can still be read."""
    statement = select(kept_images.c.name).where(
        kept_images.c.name.in_(chosen), kept_images.c.wrapped_key.is_not(None)
    )
    return set(connection.scalars(statement))


def _image(row: Row[tuple[object]]) -> KeptImage:
    return KeptImage(
        row.prediction_id,
        row.pipeline,
        row.at,
        row.expires_at,
        row.name,
        row.key_id,
        row.wrapped_key,
    )
