"""Kind `http`: systems that implement the HTTP contract, docs/downstream.openapi.json."""

from __future__ import annotations

import time
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote_plus, urlencode

import urllib3
from pydantic import Field, ValidationError

from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onboarding.domain.tasks import Account

    Credentials = Callable[..., Mapping[str, str]]

# Plain HTTP is for this machine only.
URL = r"^(https://|http://(127\.0\.0\.1|localhost)[:/])\S+[^/]$"
# Statuses below 500 that a retry may change; 401 only after the credentials were fetched again.
TRANSIENT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
# The authorization server's answer to an unknown client (RFC 6749, 5.2).
UNKNOWN_CLIENT = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
# A header accepts only this; http.client's error on anything else would show the credentials.
HeaderValue = Annotated[str, Field(pattern=r"^[!-~]+$")]


class Client:
    """What the calls share: connections, and access tokens.

    A token is kept by token URL, client and scope, with the time (of time.monotonic) until which it is used.
    """

    def __init__(self) -> None:
        self.pool = urllib3.PoolManager(retries=False)
        self.tokens: dict[tuple[str, str, str | None], tuple[str, float]] = {}


class ApiKey(Message):
    """Authentication by a header; the secret is `{"apiKey"}`."""

    type: Literal["apiKey"]
    header: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]+$")] = "X-Api-Key"


class ApiKeySecret(Message):
    """The secret of a system with an API key."""

    api_key: HeaderValue


class ClientCredentials(Message):
    """OAuth 2 client credentials (RFC 6749, 4.4); the secret is `{"clientId", "clientSecret"}`."""

    type: Literal["oauth2"]
    token_url: Annotated[str, Field(pattern=URL)]
    scope: str | None = None


class ClientSecret(Message):
    """The secret of a system with OAuth 2."""

    client_id: str
    client_secret: str


class Grant(Message):
    """The authorization server's answer (RFC 6749, 5.1)."""

    access_token: HeaderValue
    expires_in: float = 0


class HttpSettings(Message):
    """Settings of a system of this kind: its base URL, its time-outs, how to authenticate."""

    kind: Literal["http"]
    url: Annotated[str, Field(pattern=URL)]
    # The settings and the secret, at 9 s each, and a token and the account, at 8 s each, fit the functions' 35 s.
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=2)] = 2
    read_timeout_seconds: Annotated[float, Field(gt=0, le=6)] = 5
    authentication: Annotated[ApiKey | ClientCredentials, Field(discriminator="type")]


class HttpSystem:
    """A downstream system with an HTTP API."""

    def __init__(
        self, settings: HttpSettings, credentials: Credentials, remaining: Callable[[], float], client: Client
    ) -> None:
        self._client = client
        self._settings = settings
        self._credentials = credentials
        self._remaining = remaining
        self._timeout = urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.read_timeout_seconds)

    def provision(self, customer_id: str, account: Account) -> None:
        """PUT the account."""
        body = account.model_dump(mode="json", by_alias=True, exclude_none=True)
        status = self._call(HTTPMethod.PUT, customer_id, "provision", body)
        if not _is_success(status):
            raise DownstreamRefused(f"HTTP {status}")

    def deprovision(self, customer_id: str) -> None:
        """DELETE the account."""
        status = self._call(HTTPMethod.DELETE, customer_id, "deprovision", None)
        if not _is_success(status) and status not in GONE:
            raise DownstreamRefused(f"HTTP {status}")

    def _call(self, method: str, customer_id: str, action: str, body: object) -> int:
        """Return the status of the last answer; raise what a retry may change."""
        renewed = fresh = False
        while True:
            answer = self._send(
                method,
                f"{self._settings.url}/accounts/{customer_id}",
                headers=self._authentication(fresh=fresh) | {"Idempotency-Key": f"{customer_id}:{action}"},
                json=body,
            )
            # The credentials may have been rotated.
            fresh = answer.status == HTTPStatus.UNAUTHORIZED and not renewed and self._has_time()
            renewed |= fresh
            if not fresh and not self._waited_out(answer):
                break
        if answer.status in TRANSIENT or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise DownstreamUnavailable(f"HTTP {answer.status}")
        return answer.status

    def _waited_out(self, answer: urllib3.BaseHTTPResponse) -> bool:
        """Wait as long as a 429 or 503 asks for, if the time left allows it and one more attempt."""
        if answer.status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            return False
        try:
            seconds = urllib3.Retry().get_retry_after(answer)
        except urllib3.exceptions.InvalidHeader:
            return False
        if not seconds or not self._has_time(seconds):
            return False
        time.sleep(seconds)
        return True

    def _has_time(self, seconds: float = 0) -> bool:
        """Whether one more attempt, with its token, fits the time left after that many seconds."""
        calls = 2 if isinstance(self._settings.authentication, ClientCredentials) else 1
        attempt = self._settings.connect_timeout_seconds + self._settings.read_timeout_seconds
        return seconds + calls * attempt <= self._remaining()

    def _authentication(self, *, fresh: bool) -> dict[str, str]:
        match self._settings.authentication:
            case ApiKey(header=header):
                return {header: ApiKeySecret.model_validate(self._credentials(fresh=fresh)).api_key}
            case ClientCredentials() as oauth:
                return {"Authorization": f"Bearer {self._token(oauth, fresh=fresh)}"}

    def _token(self, oauth: ClientCredentials, *, fresh: bool) -> str:
        client = ClientSecret.model_validate(self._credentials(fresh=fresh))
        key = (oauth.token_url, client.client_id, oauth.scope)
        token, until = self._client.tokens.get(key, ("", 0.0))
        if fresh or time.monotonic() >= until:
            form = {"grant_type": "client_credentials"} | ({"scope": oauth.scope} if oauth.scope else {})
            # RFC 6749, 2.3.1: each is form-encoded first.
            basic = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
            answer = self._send(
                HTTPMethod.POST,
                oauth.token_url,
                headers=urllib3.make_headers(basic_auth=basic) | {"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form),
            )
            if answer.status in UNKNOWN_CLIENT and not fresh and self._has_time():
                return self._token(oauth, fresh=True)
            if answer.status != HTTPStatus.OK:
                raise DownstreamUnavailable(f"token: HTTP {answer.status}")
            try:
                grant = Grant.model_validate_json(answer.data)
            except ValidationError:
                raise DownstreamUnavailable("token: malformed") from None
            # A token that expires on its way would be refused; one without a lifetime is used once.
            token = grant.access_token
            self._client.tokens[key] = token, time.monotonic() + grant.expires_in - 30
        return token

    def _send(self, method: str, url: str, **request: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401 - urllib3's own
        try:
            return self._client.pool.request(method, url, timeout=self._timeout, redirect=False, **request)
        except urllib3.exceptions.HTTPError as error:
            # Its message adds only the URL.
            raise DownstreamUnavailable(type(error).__name__) from None


def client(_make_client: object) -> Client:
    """Return what the calls share."""
    return Client()


def adapter(
    settings: Mapping[str, Any], credentials: Credentials, remaining: Callable[[], float], client: Client
) -> HttpSystem:
    """Return the adapter of a system with these settings."""
    return HttpSystem(HttpSettings.model_validate(settings), credentials, remaining, client)


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
