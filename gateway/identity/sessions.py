"""Sessions of browsers: a key, or who logged in, sealed in a cookie that no script can read."""

import base64
import hmac
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import Code, RefusedError

_KEY_BYTES = 32
_NONCE_BYTES = 12
_EXPIRY = struct.Struct(">Q")
LOGIN_SECONDS = 600
ACCOUNT = "account."
"""What the cookie of a login at the issuer begins with; no other cookie of ours has a dot."""
_LONGEST = 8192
"""Characters of a cookie that is opened at all."""


def _over() -> RefusedError:
    return RefusedError(
        Code.UNAUTHORIZED, "session: it is over. Log in again.", reason="unauthorized"
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """Seals what stands for a login, and opens it again.

    Nothing is stored: a session ends when its time is over, when the browser is closed, and when
    its key is revoked, because the key is checked with every request.
    """

    seconds: int
    """How long a session lasts."""
    secret: bytes = field(repr=False)
    """The pepper: those who share it know each other's sessions, and a new one ends them all."""
    now: Callable[[], float] = time.time

    def seal(self, key: str) -> str:
        """A cookie's value for a key."""
        return self._sealed(b"cookie", key, self.seconds)

    def seal_account(self, account: str) -> str:
        """A cookie's value for who logged in at the issuer."""
        return ACCOUNT + self._sealed(b"account", account, self.seconds)

    def seal_login(self, pending: str) -> str:
        """A cookie's value for a login that has begun, and has some minutes to end."""
        return self._sealed(b"login", pending, LOGIN_SECONDS)

    def open(self, cookie: str) -> str:
        """The key in a cookie.

        Raises:
            RefusedError: with `unauthorized`, as it is none of ours or its time is over.
        """
        return self._opened(b"cookie", cookie)

    def open_account(self, cookie: str) -> str:
        """What `seal_account` sealed.

        Raises:
            RefusedError: as `open`.
        """
        return self._opened(b"account", cookie.removeprefix(ACCOUNT))

    def open_login(self, cookie: str) -> str:
        """What `seal_login` sealed.

        Raises:
            RefusedError: as `open`.
        """
        return self._opened(b"login", cookie)

    def _sealed(self, purpose: bytes, text: str, seconds: int) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        expiry = int(self.now()) + seconds
        sealed = AESGCM(self._derived(purpose)).encrypt(
            nonce, _EXPIRY.pack(expiry) + text.encode("utf-8", "surrogateescape"), None
        )
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def _opened(self, purpose: bytes, cookie: str) -> str:
        if len(cookie) > _LONGEST:
            raise _over()
        try:
            data = base64.b64decode(cookie, altchars=b"-_", validate=True)
            opened = AESGCM(self._derived(purpose)).decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], None
            )
        except (ValueError, InvalidTag):
            raise _over() from None
        (expiry,) = _EXPIRY.unpack_from(opened)
        if expiry <= self.now():
            raise _over()
        return opened[_EXPIRY.size :].decode("utf-8", "surrogateescape")

    def token(self, cookie: str) -> str:
        """What a page sends with changes of its session, so that no other page can make them."""
        digest = hmac.digest(self._derived(b"token"), cookie.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode()

    def check_token(self, cookie: str, token: str | None) -> None:
        """Lets a change of a session's own page pass.

        Raises:
            RefusedError: with `forbidden`.
        """
        if token is None or not hmac.compare_digest(self.token(cookie).encode(), token.encode()):
            raise RefusedError(
                Code.FORBIDDEN,
                "X-CSRF-Token: missing, or not of this session. Load the page again.",
                reason="forbidden",
            )

    def _derived(self, purpose: bytes) -> bytes:
        info = b"second-opinion session " + purpose
        return HKDF(SHA256(), _KEY_BYTES, salt=None, info=info).derive(self.secret)
