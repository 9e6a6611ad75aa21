"""An HTTP client of the gateway for gevent's greenlets."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from loadtest import bodies
from loadtest.bodies import Body
from loadtest.errors import LoadtestError
from loadtest.photos import Photo
from loadtest.reply import Reply, read_http, unreachable
from loadtest.target import Target

_PATIENCE_SECONDS = 300.0
"""Longer than the gateway's own deadline may reasonably be: it is the one to decide."""
_MOST_CALLERS = 1000


class GatewayHttp:
    """One sender's connections; as many as it has requests under way."""

    def __init__(self, target: Target) -> None:
        self._url, self._pipeline = target.url, target.pipeline
        self._base = f"/api/v1/pipelines/{target.pipeline}"
        self._client = HTTPClient.from_url(
            target.url,
            headers=target.headers,
            concurrency=_MOST_CALLERS,
            connection_timeout=_PATIENCE_SECONDS,
            network_timeout=_PATIENCE_SECONDS,
        )

    def classes(self) -> list[str]:
        """The pipeline's classes, in the order of its tensors' indices.

        Raises:
            LoadtestError: the service does not answer, or has no such pipeline.
        """
        try:
            response = self._client.get(self._base)
            status, body = response.status_code, response.read()
        except (OSError, HTTPParseError) as error:
            raise LoadtestError(
                f"{self._url}: the service does not answer; start it, or name another with --url"
            ) from error
        if status != HTTPStatus.OK:
            raise LoadtestError(
                f"{self._pipeline}: the service answers {status} about it; name one that it "
                "serves with --pipeline"
            )
        classes: list[str] = json.loads(body)["classes"]
        return classes

    def raw(self, photo: Photo) -> Reply:
        """Sends the image's bytes."""
        return self._ask("predict", bodies.raw(photo), None)

    def json(self, photo: Photo) -> Reply:
        """Sends the image in JSON."""
        return self._ask("predict", bodies.as_json(photo), None)

    def form(self, photo: Photo) -> Reply:
        """Sends the image as a form does, and asks for details."""
        return self._ask("predict/advanced", bodies.form("file", [photo]), None)

    def batch(self, photos: Sequence[Photo]) -> Reply:
        """Sends all images in one form."""
        return self._ask("predict/batch", bodies.form("files", photos), len(photos))

    def _ask(self, path: str, body: Body, photos: int | None) -> Reply:
        headers = {"Content-Type": body.content_type}
        try:
            response = self._client.post(f"{self._base}/{path}", body.data, headers)
            answer = bytes(response.read())
            retry_after = str(response.get("retry-after", ""))
        except (OSError, HTTPParseError) as error:
            return unreachable(error)
        return read_http(response.status_code, retry_after, answer, self._pipeline, photos)
