"""How a contender is asked about a photo; HTTP and gRPC are the two ways."""

from typing import Protocol


class AskError(Exception):
    """No answer, or one that is an error; the text says which."""


class Door(Protocol):
    """Connections to one contender. A worker has one request under way at a time."""

    async def open(self, workers: int) -> None:
        """Connects as many workers.

        Raises:
            AskError: nobody listens.
        """

    async def close(self) -> None:
        """Ends the connections, which have nothing under way."""

    async def ask(self, worker: int, photo: int) -> bytes:
        """Sends a photo; the answer, undeciphered so that it costs nothing while time runs.

        Raises:
            AskError: the contender refused or left.
        """

    def probabilities(self, answer: bytes) -> list[float]:
        """Class probabilities, in the pipeline's order.

        Raises:
            ValueError, KeyError, TypeError: the answer has none.
        """
