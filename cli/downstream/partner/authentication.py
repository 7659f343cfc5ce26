"""The two ways to authenticate with a partner, each with random credentials."""

import json
import secrets
import time
from urllib.parse import unquote_plus

from werkzeug import Request, Response

TOKEN_SECONDS = 60


class ApiKeys:
    """One API key, in a header."""

    challenge = "ApiKey"

    def __init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        """Replace the key."""
        self._key = secrets.token_urlsafe()

    def credentials(self) -> dict[str, str]:
        return {"apiKey": self._key}

    def admits(self, request: Request) -> bool:
        return request.headers.get("X-Api-Key") == self._key


class ClientCredentials:
    """OAuth 2 client credentials (RFC 6749, 4.4), exchanged for bearer tokens."""

    challenge = "Bearer"

    def __init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        """Replace the credentials and revoke all tokens."""
        self._client = secrets.token_urlsafe(8), secrets.token_urlsafe()
        self._tokens: dict[str, float] = {}  # by token, when it expires

    def credentials(self) -> dict[str, str]:
        return dict(zip(("clientId", "clientSecret"), self._client, strict=True))

    def admits(self, request: Request) -> bool:
        given = request.authorization
        until = self._tokens.get(given.token or "", 0) if given and given.type == "bearer" else 0
        return time.monotonic() < until

    def grant(self, request: Request) -> Response:
        """Answer a token request, with a token or an error (RFC 6749, 5.2)."""
        given = request.authorization
        # Both parts are form-encoded (RFC 6749, 2.3.1).
        if not given or (unquote_plus(given.username or ""), unquote_plus(given.password or "")) != self._client:
            return _json({"error": "invalid_client"}, 401, {"WWW-Authenticate": "Basic"})
        if request.form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type"}, 400)
        token = secrets.token_urlsafe()
        self._tokens[token] = time.monotonic() + TOKEN_SECONDS
        granted = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return _json(granted, 200, {"Cache-Control": "no-store"})


def _json(document: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(document), status, headers, mimetype="application/json")
