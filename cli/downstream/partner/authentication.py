"""The two ways in which a partner has its callers authenticate, each with credentials that it makes up itself."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from email.message import Message
from http import HTTPStatus
from threading import Lock
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote_plus

HEADER = "X-Api-Key"


class Authentication(Protocol):
    """Who is let in; `challenge` is what a refusal answers in WWW-Authenticate."""

    challenge: str

    def settings(self, url: str) -> dict[str, str]:
        """How to authenticate, for the system's settings."""

    def credentials(self) -> dict[str, str]:
        """The credentials, for the system's secret."""

    def rotate(self) -> None:
        """Make up other credentials, and let nobody in with the former."""

    def admits(self, headers: Message) -> bool:
        """Whether a request with these headers is let in."""


class ApiKeys:
    """One API key, in a header."""

    challenge = "ApiKey"

    def __init__(self) -> None:
        self.rotate()

    def settings(self, url: str) -> dict[str, str]:  # noqa: ARG002 - the other way needs it
        return {"type": "apiKey"}

    def credentials(self) -> dict[str, str]:
        return {"apiKey": self._key}

    def rotate(self) -> None:
        self._key = secrets.token_urlsafe()

    def admits(self, headers: Message) -> bool:
        return _same(headers.get(HEADER, ""), self._key)


class ClientCredentials:
    """OAuth 2 client credentials (RFC 6749, 4.4), exchanged for bearer tokens that live for so many seconds."""

    challenge = "Bearer"

    def __init__(self, token_seconds: float = 60) -> None:
        self._token_seconds = token_seconds
        self._tokens: dict[str, float] = {}
        self._lock = Lock()
        self.rotate()

    def settings(self, url: str) -> dict[str, str]:
        return {"type": "oauth2", "tokenUrl": f"{url}/token"}

    def credentials(self) -> dict[str, str]:
        return {"clientId": self._client_id, "clientSecret": self._client_secret}

    def rotate(self) -> None:
        self._client_id, self._client_secret = secrets.token_urlsafe(8), secrets.token_urlsafe()
        self.revoke()

    def revoke(self) -> None:
        """Let nobody in with the tokens that were granted up to now."""
        with self._lock:
            self._tokens.clear()

    def admits(self, headers: Message) -> bool:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        with self._lock:
            return scheme.lower() == "bearer" and self._tokens.get(token, 0) > time.monotonic()

    def grant(self, headers: Message, form: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """Answer a token request: a token, or the error of RFC 6749, 5.2."""
        if not self._knows_client(headers.get("Authorization", "")):
            return HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"}
        if parse_qs(form).get("grant_type") != ["client_credentials"]:
            return HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"}
        token = secrets.token_urlsafe()
        with self._lock:
            self._tokens[token] = time.monotonic() + self._token_seconds
        return HTTPStatus.OK, {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self._token_seconds),
        }

    def _knows_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            return False
        # Both parts come form-encoded: RFC 6749, 2.3.1.
        client_id, _, client_secret = (unquote_plus(part) for part in given.partition(":"))
        known = _same(client_id, self._client_id) & _same(client_secret, self._client_secret)
        return scheme.lower() == "basic" and known


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
