"""The state that all users of one process share: target, photos, expected answers, counts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from loadtest.errors import LoadtestError
from loadtest.gateway_http import GatewayHttp
from loadtest.ledger import Ledger
from loadtest.photos import Photo
from loadtest.prediction import Reference
from loadtest.reply import Reply
from loadtest.target import Target

_READY_ATTEMPTS, _READY_PAUSE = 5, 1.0


@dataclass(slots=True)
class Session:
    """The service as it is when nobody loads it, and the studies sent since.

    Attributes:
        rate: Studies that each user of an open loop sends in a second.
    """

    target: Target
    photos: Sequence[Photo]
    classes: Sequence[str]
    reference: Reference
    rate: float
    ledger: Ledger = field(default_factory=Ledger)

    @classmethod
    def begin(cls, target: Target, photos: Sequence[Photo], rate: float) -> Self:
        """Asks for the right answer to each photo.

        Raises:
            LoadtestError: there is none.
        """
        gateway = GatewayHttp(target)
        classes, reference = gateway.classes(), Reference()
        for photo in photos:
            reference.learn(photo, _first(gateway, photo).predictions[0])
        return cls(target, photos, classes, reference, rate)


def _first(gateway: GatewayHttp, photo: Photo) -> Reply:
    for _ in range(_READY_ATTEMPTS):
        reply = gateway.raw(photo)
        if not reply.repeatable:
            break
        time.sleep(_READY_PAUSE)
    if reply.fault:
        raise LoadtestError(
            f"{photo.name}: no answer from the unloaded service ({reply.fault}); without one "
            "nothing can be compared. Name other images with --photos, or look at its log"
        )
    return reply
