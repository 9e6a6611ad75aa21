"""An answer as a response."""

from base64 import b64encode
from typing import Any

from starlette.responses import JSONResponse

from pipelines.protocol import Detected


class AnswerResponse(JSONResponse):
    """JSON, in which a `visualization` is handed in as bytes and sent as base64.

    base64 needs no escapes. To let the JSON encoder look for them anyway would keep the event
    loop three times as long, and a picture may have megabytes.
    """

    def render(self, content: dict[str, Any]) -> bytes:
        """The answer's bytes, the picture last."""
        picture = content.get(Detected.VISUALIZATION)
        if picture is None:
            return super().render(content)
        rest = {name: value for name, value in content.items() if value is not picture}
        key = f',"{Detected.VISUALIZATION}":"'.encode()
        return b"".join((super().render(rest)[:-1], key, b64encode(picture), b'"}'))
