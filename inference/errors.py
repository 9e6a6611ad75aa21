"""The one exception by which a backend refuses a single request."""

from pipelines.protocol import Refusal, refusal


class RefusedError(Exception):
    """A request that gets no answer; the others of its batch do.

    `str()` of it is the error message for Triton: the code in brackets, then the text.
    """

    def __init__(self, code: Refusal, text: str) -> None:
        super().__init__(refusal(code, text))
        self.code = code
        self.text = text
