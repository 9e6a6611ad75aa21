"""The error of an image or of a model's output that is refused."""

from pipelines.protocol import Refusal


class RefusedError(Exception):
    """One request gets no answer; others of its batch do.

    `str()` of it names the problem and the remedy, and nothing of the image's content.
    """

    def __init__(self, code: Refusal, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
