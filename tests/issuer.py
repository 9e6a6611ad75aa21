"""A small, strict OpenID Connect issuer: codes for one use, PKCE, a client with a secret."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "second-opinion-page", "s3cret: of/the+client"
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


class Issuer:
    """What it knows, and what a test makes it say."""

    def __init__(self, port: int) -> None:
        # Another site than the gateway's 127.0.0.1 to a browser.
        self.url = f"http://localhost:{port}"
        self.pages: set[str] = set()
        """Addresses that browsers may be sent back to."""
        self.claims: dict[str, Any] = {}
        """Of the next ID tokens, in place of the right ones; None leaves one out."""
        self.key = KEY
        self.away = False
        self.answer: dict[str, Any] | None = None
        """What it answers to a code in place of tokens."""
        self.codes: dict[str, dict[str, str]] = {}
        self.refusals: list[str] = []
        """Why it refused what it was asked."""
        self.seen: list[str] = []
        """Bodies that came to it."""

    def settings(self, page_url: str, secret_file: Any) -> dict[str, str]:
        """The gateway's, by the names of its environment."""
        self.pages.add(f"{page_url}api/v1/session/oidc/callback")
        return {
            "GATEWAY_TOKEN_ISSUER": self.url,
            "GATEWAY_TOKEN_AUDIENCE": "second-opinion",
            "GATEWAY_TOKEN_JWKS": f"{self.url}/keys",
            "GATEWAY_TOKEN_ROLES": "so-user=predict,so-user=feedback,so-admin=operate",
            "GATEWAY_TOKEN_PIPELINES_CLAIM": "groups",
            "GATEWAY_TOKEN_PIPELINES": "everything=*,derma=mhist,mouth=oral_cancer",
            "GATEWAY_OIDC_CLIENT_ID": CLIENT,
            "GATEWAY_OIDC_CLIENT_SECRET_FILE": str(secret_file),
            "GATEWAY_OIDC_AUTHORIZATION_URL": f"{self.url}/authorize?realm=clinic",
            "GATEWAY_OIDC_TOKEN_URL": f"{self.url}/token",
            "GATEWAY_OIDC_LOGOUT_URL": f"{self.url}/logout",
            "GATEWAY_OIDC_PAGE_URL": page_url,
        }

    def login(self, query: dict[str, str]) -> str:
        """Where a browser goes back to, once its user has logged in.

        Raises:
            ValueError: the question is not one of the client.
        """
        right = {"client_id": CLIENT, "response_type": "code", "code_challenge_method": "S256"}
        if any(query.get(name) != value for name, value in right.items()):
            raise ValueError("not a question of the client")
        if query.get("redirect_uri") not in self.pages or "openid" not in query["scope"].split():
            raise ValueError("not an address or a scope of the client")
        if min(len(query.get(name, "")) for name in ("state", "nonce", "code_challenge")) < 32:
            raise ValueError("state, nonce or code_challenge are too short")
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.url}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def tokens(self, authorization: str, fields: dict[str, str]) -> dict[str, Any]:
        """What a code is exchanged for, once.

        Raises:
            ValueError: why it is not.
        """
        name, _, secret = (
            base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        )
        if (unquote(name), unquote(secret)) != (CLIENT, SECRET):
            raise ValueError("not the client")
        asked = self.codes.pop(fields["code"], None)
        if asked is None:
            raise ValueError("no such code, or one that was used")
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            raise ValueError("not the verifier")
        if fields["redirect_uri"] != asked["redirect_uri"]:
            raise ValueError("not the address")
        if fields["grant_type"] != "authorization_code":
            raise ValueError("not a code")
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "dr-1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "roles": ["so-user"],
            "groups": ["mouth"],
        } | self.claims
        said = {claim: value for claim, value in claims.items() if value is not None}
        token = jwt.encode(said, self.key, "RS256", headers={"kid": "one"})
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": token}


def _keys() -> dict[str, Any]:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return {"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/keys":
            self._send(200, json.dumps(_keys()), "application/json")
        elif url.path == "/authorize":
            # The question comes back with the form, as from a page where somebody logs in.
            action = self.path.replace("&", "&amp;")
            form = f'<form method="post" action="{action}"><button>Log in</button></form>'
            self._send(200, f"<!DOCTYPE html><title>Issuer</title>{form}", "text/html")
        else:
            self._send(200, "<!DOCTYPE html><title>Logged out</title>", "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
        self.issuer.seen.append(body)
        url = urlsplit(self.path)
        try:
            if self.issuer.away:
                self._send(503, "", "text/plain")
            elif url.path == "/authorize":
                self.send_response(303)
                self.send_header("location", self.issuer.login(_single(url.query)))
                self.send_header("content-length", "0")
                self.end_headers()
            else:
                tokens = self.issuer.tokens(self.headers.get("authorization", ""), _single(body))
                self._send(200, json.dumps(self.issuer.answer or tokens), "application/json")
        except (ValueError, KeyError) as error:
            self.issuer.refusals.append(str(error))
            self._send(400, json.dumps({"error": "invalid_grant"}), "application/json")

    def _send(self, status: int, text: str, media_type: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _single(query: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(query).items()}


@contextmanager
def running() -> Iterator[Issuer]:
    """An issuer that answers on this machine."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    issuer = handler.issuer = Issuer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
