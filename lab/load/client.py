"""The client interface of a load generator, over HTTP or gRPC."""

from typing import Protocol


class RequestError(Exception):
    """No answer, or one that is an error; the text says which."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        """Takes the text.

        Args:
            text: what happened.
            refused: whether the server said that it has no room for the request now.
        """
        super().__init__(text)
        self.refused = refused


class Client(Protocol):
    """Connections to one server. A worker has one request under way at a time."""

    async def open(self, workers: int) -> None:
        """Connects as many workers.

        Raises:
            RequestError: nobody listens.
        """

    async def close(self) -> None:
        """Ends the connections, which have nothing under way."""

    async def ask(self, worker: int, photo: int) -> bytes:
        """Sends a photo; the answer, undeciphered so that it costs nothing while time runs.

        Raises:
            RequestError: the server refused or left.
        """

    def probabilities(self, answer: bytes) -> list[float]:
        """Class probabilities, in the pipeline's order.

        Raises:
            ValueError, KeyError, TypeError: the answer has none.
        """
