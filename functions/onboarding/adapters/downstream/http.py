"""Kind `http`: systems that implement the HTTP contract, docs/downstream.openapi.json."""

from __future__ import annotations

import time
from contextlib import suppress
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import quote_plus, urlencode

import urllib3
from pydantic import AfterValidator, Field, ValidationError

from onboarding.adapters import connections
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable, UnexpectedAnswer
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onboarding.domain.tasks import Account

    Credentials = Callable[..., Mapping[str, str]]

# What a creation may be refused with, by itself or only in a problem document, which no proxy or router answers.
REFUSED = {HTTPStatus.GONE}
REFUSED_BY_PROBLEM = {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
# Statuses below 500 that a retry may change.
TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
# Amazon API Gateway answers 403 to an unknown key.
UNAUTHENTICATED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
# The authorization server's answer to an unknown client (RFC 6749, 5.2).
UNKNOWN_CLIENT = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
# The values of Retry-After, in seconds, that are waited for inside the function. The workflow's retries wait longer.
SHORT_WAITS = {"1", "2"}
MAX_ANSWER_BYTES = 64 * 1024
# A header accepts only this; http.client's error on anything else would show the credentials.
HeaderValue = Annotated[str, Field(pattern=r"^[!-~]+$")]


def _url(value: str) -> str:
    """Refuse a URL that isn't https, other than on this machine, or that could hide its host behind credentials."""
    try:
        url = urllib3.util.parse_url(value)  # as it is read for the request itself
        (url.host or "").encode("idna")  # as the host is looked up
    except (urllib3.exceptions.LocationParseError, UnicodeError):
        raise ValueError("is not a URL") from None
    if url.scheme != "https" and (url.scheme, url.host) not in {("http", "127.0.0.1"), ("http", "localhost")}:
        raise ValueError("must be https, except on this machine")
    if not url.host or url.auth or url.query or url.fragment or value.endswith("/"):
        raise ValueError("must have a host, and no credentials, query, fragment or trailing slash")
    return value


Url = Annotated[str, Field(pattern=r"^\S+$"), AfterValidator(_url)]


class Client:
    """What the calls share: connections, and access tokens.

    A token is kept by token URL, client and scope, with the time (of time.monotonic) until which it is used.
    """

    def __init__(self) -> None:
        self.pool = connections.pool()
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
    token_url: Url
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
    url: Url
    # The settings and the secret, at 9 s each, and a token and the account, at 8 s each, fit the functions' 35 s.
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=2)] = 2
    read_timeout_seconds: Annotated[float, Field(gt=0, le=6)] = 5
    authentication: Annotated[ApiKey | ClientCredentials, Field(discriminator="type")]


class Answer(NamedTuple):
    """An answer: its status, its headers, and the first MAX_ANSWER_BYTES of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_problem(self) -> bool:
        """Whether it is a problem document: an answer of the system itself (RFC 9457)."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/problem+json"


class HttpSystem:
    """A downstream system with an HTTP API."""

    def __init__(
        self,
        system: str,
        settings: HttpSettings,
        credentials: Credentials,
        remaining: Callable[[], float],
        client: Client,
    ) -> None:
        self._system = system
        self._client = client
        self._settings = settings
        self._credentials = credentials
        self._remaining = remaining
        self._timeout = urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.read_timeout_seconds)

    def provision(self, customer_id: str, account: Account) -> None:
        """PUT the account."""
        body = account.as_sent()
        answer = self._call(HTTPMethod.PUT, customer_id, "provision", body)
        if answer.status in REFUSED or (answer.status in REFUSED_BY_PROBLEM and answer.is_problem):
            raise DownstreamRefused(self._system, f"HTTP {answer.status}")
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise UnexpectedAnswer(f"HTTP {answer.status}")

    def deprovision(self, customer_id: str) -> None:
        """DELETE the account. A 404 counts only as a problem document: a router's has left no tombstone."""
        answer = self._call(HTTPMethod.DELETE, customer_id, "deprovision", None)
        is_gone = answer.status == HTTPStatus.NOT_FOUND and answer.is_problem
        if answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.GONE} and not is_gone:
            raise UnexpectedAnswer(f"HTTP {answer.status}")

    def _call(self, method: str, customer_id: str, action: str, body: object) -> Answer:
        """Return the answer, other than one that a retry may change.

        The credentials are fetched again once, since they may have been rotated, and a short Retry-After is waited for
        once.
        """
        may_renew = may_wait = True
        fresh = False
        while True:
            answer = self._send(
                method,
                f"{self._settings.url}/accounts/{customer_id}",
                headers=self._authentication(fresh=fresh) | {"Idempotency-Key": f"{customer_id}:{action}"},
                json=body,
            )
            pause = answer.headers.get("Retry-After", "")
            if answer.status in UNAUTHENTICATED and may_renew and self._has_time():
                may_renew, fresh = False, True
            elif _is_transient(answer.status) and may_wait and pause in SHORT_WAITS and self._has_time(int(pause)):
                may_wait = fresh = False
                time.sleep(int(pause))
            else:
                break
        if _is_transient(answer.status):
            raise DownstreamUnavailable(f"HTTP {answer.status}")
        return answer

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
            if _is_transient(answer.status):
                raise DownstreamUnavailable(f"token: HTTP {answer.status}")
            if answer.status != HTTPStatus.OK:
                raise UnexpectedAnswer(f"token: HTTP {answer.status}")
            try:
                grant = Grant.model_validate_json(answer.body)
            except ValidationError:
                raise DownstreamUnavailable("token: malformed") from None
            # A token that expires on its way would be refused; one without a lifetime is used once.
            token = grant.access_token
            self._client.tokens[key] = token, time.monotonic() + grant.expires_in - 30
        return token

    def _send(self, method: str, url: str, **request: Any) -> Answer:  # noqa: ANN401 - urllib3's own
        try:
            response = self._client.pool.request(
                method,
                url,
                timeout=self._timeout,
                redirect=False,
                preload_content=False,
                decode_content=False,
                **request,
            )
            return Answer(response.status, response.headers, _body_of(response))
        except urllib3.exceptions.HTTPError as error:
            # Its message adds only the URL.
            raise DownstreamUnavailable(type(error).__name__) from None


def client(_make_client: object) -> Client:
    """Return what the calls share."""
    return Client()


def adapter(
    system: str,
    settings: Mapping[str, Any],
    credentials: Credentials,
    remaining: Callable[[], float],
    client: Client,
) -> HttpSystem:
    """Return the adapter of a system with these settings."""
    return HttpSystem(system, HttpSettings.model_validate(settings), credentials, remaining, client)


def _is_transient(status: int) -> bool:
    return status in TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _body_of(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read the body; of one that is too long or doesn't end in time, the beginning: the status says enough."""
    body = b""
    with suppress(urllib3.exceptions.ReadTimeoutError):
        while len(body) < MAX_ANSWER_BYTES:
            if not (part := response.read1(MAX_ANSWER_BYTES - len(body))):
                response.release_conn()
                return body
            body += part
    response.close()  # the connection can't be used again
    return body
