"""Downstream systems of kind http: what they are asked, and what their answers mean."""

import json
import logging
import socket
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import product, repeat
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError
from urllib3.util.connection import create_connection

from cli.machine.environment import HOST
from onboarding.adapters import connections
from onboarding.adapters.downstream import http
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable, UnexpectedAnswer
from onboarding.domain.tasks import Account
from tests.customers import a_customer
from tests.unit.partner import HANGS, RESETS, Answer, Partner
from tests.unit.personal_data import found, typed
from tests.unit.systems import API_KEY, CLIENT, by_api_key, by_token

CUSTOMER = a_customer(firstName="Zoë", phone="+442079460958", address={"city": "Łódź", "country": "PL"})
ACCOUNT = CUSTOMER | {"accountId": "account-1"}
GRANTED = Answer(body={"access_token": "t0ken-1", "token_type": "Bearer", "expires_in": 3600})
GRANTED_AGAIN = Answer(body={"access_token": "t0ken-2", "token_type": "Bearer", "expires_in": 3600})
# The client's credentials, each encoded like a form before both are encoded like a password (RFC 6749, 2.3.1).
BASIC = "Basic " + b64encode(b"onboarding:s3cr3t%2Fof%2Bthe+crm").decode()
PROVISION, DEPROVISION = "provision", "deprovision"
ACTIONS = PROVISION, DEPROVISION
PROBLEM = {"Content-Type": "application/problem+json"}
REFUSALS = 400, 409, 422  # with a problem document
FAULTS = 302, 402, 403, 404, 405, 413, 415, 421, 451
OUTAGES = 408, 425, 429, 500, 502, 503, 504
IMPATIENT = {"readTimeoutSeconds": 0.2}
DEAD = "127.0.0.9"  # in place of an address that answers nothing

Call = Callable[..., None]  # call(action, *, settings, credentials)


class Clock:
    """A function's time: `left` seconds until it is ended, spent by nothing but sleep."""

    def __init__(self) -> None:
        self.left = 30.0
        self.now = 1000.0
        self.tick = 0.0  # how much each look at the clock takes
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.left -= seconds

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now


class Credentials:
    """A system's secret, which is cached until it is fetched again; `fetched` counts how often it was."""

    def __init__(self, *secrets: Any) -> None:
        self._secrets = secrets
        self.fetched = 0

    def __call__(self, *, fresh: bool = False) -> Any:
        self.fetched += fresh
        return self._secrets[min(self.fetched, len(self._secrets) - 1)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(http, "time", clock)
    monkeypatch.setattr(connections, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def _nothing_secret_or_personal_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield
    assert secrets_in(caplog.text) == set()


@pytest.fixture
def call(crm: Partner, clock: Clock) -> Call:
    """Provisions the account of the customer `ada`, or deprovisions it, by default with the partner's API key."""
    client = http.Client()

    def call(action: str = PROVISION, *, settings: Any = None, credentials: Credentials | None = None) -> None:
        secret = credentials or Credentials({"apiKey": API_KEY})
        system = http.adapter("crm", settings or by_api_key(crm.url), secret, lambda: clock.left, client)
        if action == PROVISION:
            system.provision("ada", Account.model_validate(ACCOUNT))
        else:
            system.deprovision("ada")

    return call


@contextmanager
def dripping(parts: Iterable[bytes]) -> Iterator[str]:
    """A system that answers one request with these parts, each sent for itself; its URL."""

    def answer() -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.recv(64 * 1024)
                for part in parts:
                    connection.sendall(part)

    with socket.create_server((HOST, 0)) as server:
        thread = Thread(target=answer)
        thread.start()
        try:
            yield f"http://{HOST}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def secrets_in(text: str) -> set[str]:
    """What is secret or personal in a text."""
    secrets = {API_KEY, CLIENT["clientSecret"], "t0ken-1", "t0ken-2", BASIC}
    return found(typed({"customerData": CUSTOMER}) | secrets, text)


class TestRequest:
    @pytest.mark.parametrize(
        ("action", "method", "account"), [(PROVISION, "PUT", ACCOUNT), (DEPROVISION, "DELETE", None)]
    )
    def test_repeated_request_is_the_same(
        self, action: str, method: str, account: Any, crm: Partner, call: Call
    ) -> None:
        crm.answers = [Answer(204)]

        for _ in range(2):
            call(action, settings=by_api_key(f"{crm.url}/crm/v2"))

        for request in crm.requests:
            assert (request.method, request.path) == (method, "/crm/v2/accounts/ada")
            assert request.headers["Idempotency-Key"] == f"ada:{action}"
            assert (json.loads(request.body) if request.body else None) == account
            assert request.headers.get("Content-Type") == ("application/json" if account else None)
        assert len(crm.requests) == 2

    def test_api_key_is_in_the_configured_header(self, crm: Partner, call: Call) -> None:
        call(settings=by_api_key(crm.url, authentication={"type": "apiKey", "header": "X-Crm-Key"}))

        assert crm.header("X-Crm-Key") == [API_KEY]
        assert crm.header("X-Api-Key") == crm.header("Authorization") == [None]


class TestAnswer:
    @pytest.mark.parametrize(
        ("action", "status", "headers"),
        [
            *((PROVISION, status, {}) for status in (200, 201, 202, 204)),
            (DEPROVISION, 204, {}),
            (DEPROVISION, 410, {}),
            (DEPROVISION, 404, {"Content-Type": "Application/Problem+JSON; charset=utf-8"}),
        ],
    )
    def test_success_is_asked_for_once(
        self, action: str, status: int, headers: dict[str, str], crm: Partner, call: Call
    ) -> None:
        crm.answers = [Answer(status, headers)]

        call(action)

        assert len(crm.requests) == 1

    @pytest.mark.parametrize(("status", "headers"), [(410, {}), *((status, PROBLEM) for status in REFUSALS)])
    def test_refusal_names_its_system(self, status: int, headers: dict[str, str], crm: Partner, call: Call) -> None:
        crm.answers = [Answer(status, headers, f"{CUSTOMER} is not welcome")]

        with pytest.raises(DownstreamRefused) as raised:
            call()

        assert json.loads(str(raised.value)) == {"system": "crm", "answer": f"HTTP {status}"}
        assert len(crm.requests) == 1

    @pytest.mark.parametrize(
        ("action", "status", "headers"),
        [
            *product(ACTIONS, OUTAGES, [{}, PROBLEM]),
            *product(ACTIONS, FAULTS, [{}]),
            *product([PROVISION], FAULTS, [PROBLEM]),
            *product(ACTIONS, REFUSALS, [{}]),  # a proxy's or a router's
            *product([DEPROVISION], (*REFUSALS, 200, 202), [PROBLEM]),
        ],
    )
    def test_other_answer_is_an_outage_or_a_fault(
        self, action: str, status: int, headers: dict[str, str], crm: Partner, call: Call
    ) -> None:
        crm.answers = [Answer(status, headers | {"Location": f"{crm.url}/elsewhere"}, f"{CUSTOMER} is not welcome")]

        with pytest.raises(DownstreamUnavailable if status in OUTAGES else UnexpectedAnswer) as raised:
            call(action)

        assert str(raised.value) == f"HTTP {status}"
        assert set(crm.paths) == {"/accounts/ada"}  # no redirect was followed

    @pytest.mark.parametrize(("part", "seconds"), [(b"x" * 1024, 0), (b"x", 1)], ids=["endless", "drips"])
    def test_long_answer_is_cut(  # noqa: PLR0913, PLR0917
        self, part: bytes, seconds: float, crm: Partner, clock: Clock, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crm.answers = [Answer()]
        monkeypatch.setattr(crm.answers[0], "response", repeat(part))
        del crm.answers[0].headers["Content-Length"]
        clock.tick = seconds

        call()

        assert len(crm.requests) == 1

    @pytest.mark.parametrize(("answer", "error"), [(HANGS, "ReadTimeoutError"), (RESETS, "ProtocolError")])
    @pytest.mark.parametrize("action", ACTIONS)
    def test_missing_answer_is_an_outage(
        self, action: str, answer: Answer, error: str, crm: Partner, call: Call
    ) -> None:
        crm.answers = [answer, Answer()]  # a second request would succeed

        with pytest.raises(DownstreamUnavailable) as raised:
            call(action, settings=by_api_key(crm.url) | (IMPATIENT if answer is HANGS else {}))

        assert str(raised.value) == error
        assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)
        assert crm.await_paths() == ["/accounts/ada"]

    def test_closed_port_is_an_outage(self, crm: Partner, call: Call) -> None:
        crm.stop()

        with pytest.raises(DownstreamUnavailable, match=r"^NewConnectionError$"):
            call()


class TestDeadline:
    """One for the whole call, however much is still to come; without it, each answer here would end well."""

    @pytest.mark.parametrize(
        ("beginning", "drop", "end"),
        [
            (b"HTTP/1.1 200 ", b"x", b"\r\nContent-Length: 0\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\nX-Header: ", b"x", b"\r\nContent-Length: 0\r\n\r\n"),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ],
        ids=["status line", "headers", "interim answers"],
    )
    def test_answer_that_drips_is_an_outage(
        self, beginning: bytes, drop: bytes, end: bytes, clock: Clock, call: Call
    ) -> None:
        clock.tick = 1.5  # of the 5 s for the answer
        parts = [beginning, *repeat(drop, 60_000), end]

        with dripping(parts) as url, pytest.raises(DownstreamUnavailable, match=r"^ReadTimeoutError$"):
            call(settings=by_api_key(url))

    def test_all_addresses_share_one_time_out(
        self, crm: Partner, clock: Clock, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        crm.stop()
        clock.tick = 0.5  # of the 2 s to connect
        resolve, tried = socket.getaddrinfo, []

        def resolve_to_many(host: str, *args: Any) -> list[Any]:
            tried.append(host)
            return resolve(HOST, *args) * (50 if host == "localhost" else 1)

        monkeypatch.setattr(socket, "getaddrinfo", resolve_to_many)

        with pytest.raises(DownstreamUnavailable, match=r"^NewConnectionError$"):
            call(settings=by_api_key(crm.url.replace(HOST, "localhost")))

        assert 1 < tried.count(HOST) < 5

    def test_dead_address_leaves_time_for_others(
        self, crm: Partner, clock: Clock, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve = socket.getaddrinfo

        def resolve_to_two(host: str, *args: Any) -> list[Any]:
            hosts = [DEAD, HOST] if host == "localhost" else [host]
            return [found for each in hosts for found in resolve(each, *args)]

        def connect_or_wait(address: tuple[str, int], seconds: float, **options: Any) -> socket.socket:
            if address[0] == DEAD:
                clock.sleep(seconds)
                raise TimeoutError
            return create_connection(address, seconds, **options)

        monkeypatch.setattr(socket, "getaddrinfo", resolve_to_two)
        monkeypatch.setattr(connections, "create_connection", connect_or_wait)

        call(settings=by_api_key(crm.url.replace(HOST, "localhost")))

        assert crm.paths == ["/accounts/ada"]


class TestRetryAfter:
    @pytest.mark.parametrize(("status", "seconds"), [(429, 1), (429, 2), (503, 2)])
    def test_short_wait_is_waited_for(self, status: int, seconds: int, crm: Partner, clock: Clock, call: Call) -> None:
        crm.answers = [Answer(status, {"Retry-After": str(seconds)}), Answer()]

        call()

        assert clock.slept == [seconds]
        assert crm.header("Idempotency-Key") == ["ada:provision"] * 2

    # An attempt takes 2 s to connect and 5 s to read.
    @pytest.mark.parametrize(("left", "slept"), [(8.9, []), (9, [2]), (30, [2])])
    def test_one_wait_leaves_time_for_an_attempt(
        self, left: float, slept: list[float], crm: Partner, clock: Clock, call: Call
    ) -> None:
        clock.left = left
        crm.answers = [Answer(429, {"Retry-After": "2"})]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 429$"):
            call()

        assert clock.slept == slept
        assert len(crm.requests) == 1 + len(slept)

    @pytest.mark.parametrize("value", ["0", "3", "-1", "1.5", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"])
    def test_other_wait_is_left_to_the_workflow(self, value: str, crm: Partner, clock: Clock, call: Call) -> None:
        crm.answers = [Answer(429, {"Retry-After": value})]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 429$"):
            call()

        assert clock.slept == []
        assert len(crm.requests) == 1


class TestApiKey:
    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_key_is_fetched_again(self, status: int, crm: Partner, call: Call) -> None:
        crm.answers = [Answer(status), Answer(429, {"Retry-After": "1"}), Answer()]

        call(credentials=Credentials({"apiKey": "old"}, {"apiKey": API_KEY}))

        assert crm.header("X-Api-Key") == ["old", API_KEY, API_KEY]

    @pytest.mark.parametrize(
        ("left", "answers", "fetched"),
        [(30, [403], 1), (30, [401, 429, 403], 1), (1, [403], 0)],
        ids=["refused again", "refused later", "no time left"],
    )
    def test_key_that_stays_refused_is_a_fault(  # noqa: PLR0913, PLR0917
        self, left: float, answers: list[int], fetched: int, crm: Partner, clock: Clock, call: Call
    ) -> None:
        clock.left = left
        crm.answers = [Answer(status, {"Retry-After": "1"}) for status in answers]
        credentials = Credentials({"apiKey": API_KEY})

        with pytest.raises(UnexpectedAnswer, match=r"^HTTP 403$"):
            call(credentials=credentials)

        assert credentials.fetched == fetched


class TestAccessToken:
    def test_token_is_granted_for_the_credentials(self, crm: Partner, call: Call) -> None:
        crm.answers = [GRANTED, Answer()]

        call(settings=by_token(crm.url, scope="accounts"), credentials=Credentials(CLIENT))

        token_request, request = crm.requests
        assert (token_request.method, token_request.path) == ("POST", "/token")
        assert token_request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert token_request.headers["Authorization"] == BASIC
        assert parse_qs(token_request.body) == {"grant_type": ["client_credentials"], "scope": ["accounts"]}
        assert request.headers["Authorization"] == "Bearer t0ken-1"

    def test_token_is_used_until_it_almost_expires(self, crm: Partner, clock: Clock, call: Call) -> None:
        crm.answers = [GRANTED, Answer(), Answer(), GRANTED_AGAIN, Answer()]

        for seconds in (0, 3569, 1):
            clock.now += seconds
            call(settings=by_token(crm.url), credentials=Credentials(CLIENT))

        assert crm.paths == ["/token", "/accounts/ada", "/accounts/ada", "/token", "/accounts/ada"]
        assert crm.header("Authorization")[-1] == "Bearer t0ken-2"

    def test_token_without_lifetime_is_used_once(self, crm: Partner, call: Call) -> None:
        without = Answer(body={"access_token": "t0ken-1"})
        crm.answers = [without, Answer(), without, Answer()]

        for _ in range(2):
            call(settings=by_token(crm.url), credentials=Credentials(CLIENT))

        assert crm.paths == ["/token", "/accounts/ada"] * 2

    @pytest.mark.parametrize(
        ("scope", "client_id", "path"),
        [("other", "onboarding", "/token"), (None, "other", "/token"), (None, "onboarding", "/other")],
    )
    def test_token_serves_one_scope_client_and_url(
        self, scope: str | None, client_id: str, path: str, crm: Partner, call: Call
    ) -> None:
        crm.answers = [GRANTED, Answer(), GRANTED_AGAIN, Answer()]
        other = by_token(crm.url, scope=scope, tokenUrl=f"{crm.url}{path}")

        call(settings=by_token(crm.url), credentials=Credentials(CLIENT))
        call(settings=other, credentials=Credentials(CLIENT | {"clientId": client_id}))

        assert crm.header("Authorization")[-1] == "Bearer t0ken-2"

    def test_refused_token_is_granted_again_once(self, crm: Partner, call: Call) -> None:
        credentials = Credentials(CLIENT)
        crm.answers = [GRANTED, Answer(401), GRANTED_AGAIN, Answer()]

        call(settings=by_token(crm.url), credentials=credentials)

        assert crm.header("Authorization")[1::2] == ["Bearer t0ken-1", "Bearer t0ken-2"]
        assert credentials.fetched == 1

    @pytest.mark.parametrize("status", [400, 401])
    def test_unknown_client_is_fetched_again_once(self, status: int, crm: Partner, call: Call) -> None:
        credentials = Credentials(CLIENT | {"clientSecret": "old"}, CLIENT)
        crm.answers = [Answer(status, body={"error": "invalid_client"}), GRANTED, Answer()]

        call(settings=by_token(crm.url), credentials=credentials)

        assert crm.header("Authorization")[1:] == [BASIC, "Bearer t0ken-1"]
        assert credentials.fetched == 1

    def test_unknown_client_is_a_fault_without_time(self, crm: Partner, clock: Clock, call: Call) -> None:
        clock.left = 1
        crm.answers = [Answer(401), GRANTED, Answer()]

        with pytest.raises(UnexpectedAnswer, match=r"^token: HTTP 401$"):
            call(settings=by_token(crm.url), credentials=Credentials(CLIENT))

    @pytest.mark.parametrize(
        ("answer", "message", "requests"),
        [
            (Answer(401), "token: HTTP 401", 2),
            (Answer(403), "token: HTTP 403", 1),
            (Answer(429, {"Retry-After": "1"}), "token: HTTP 429", 1),
            (Answer(500, body=CLIENT), "token: HTTP 500", 1),
            (Answer(302, {"Location": "/elsewhere"}), "token: HTTP 302", 1),
            (Answer(200, body="<html>t0ken-1</html>"), "token: malformed", 1),
            (Answer(200, body={"token": "t0ken-1"}), "token: malformed", 1),
            (Answer(200, body={"access_token": "t0ken-1\nX-Other: 1"}), "token: malformed", 1),
        ],
    )
    def test_no_token_is_an_outage_or_a_fault(
        self, answer: Answer, message: str, requests: int, crm: Partner, call: Call
    ) -> None:
        crm.answers = [answer]
        error = UnexpectedAnswer if answer.status_code in {302, 401, 403} else DownstreamUnavailable

        with pytest.raises(error, match=f"^{message}$"):
            call(settings=by_token(crm.url), credentials=Credentials(CLIENT))

        assert crm.paths == ["/token"] * requests


@pytest.mark.parametrize(
    ("settings", "secret"),
    [
        (by_api_key, {"apiKey": f"{API_KEY}\n"}),
        (by_api_key, {"apiKey": f"{API_KEY}…"}),
        (by_api_key, API_KEY),
        (by_token, {"clientSecret": CLIENT["clientSecret"]}),
    ],
)
def test_malformed_secret_is_not_shown(settings: Callable[[str], Any], secret: Any, crm: Partner, call: Call) -> None:
    with pytest.raises(ValidationError) as raised:
        call(settings=settings(crm.url), credentials=Credentials(secret))

    assert raised.value.error_count() == 1
    assert secrets_in(str(raised.value)) == set()
    assert crm.requests == []


class TestSettings:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"url": "http://crm.example.com"}, "url"),
            ({"url": "https://crm.example.com/"}, "url"),
            ({"url": "https://crm..example.com"}, "url"),
            ({"url": "http://localhost:80@crm.example.com"}, "url"),
            ({"url": "https://ada@crm.example.com"}, "url"),
            ({"url": "https://crm.example.com?x=1"}, "url"),
            ({"connectTimeoutSeconds": 0}, "connectTimeoutSeconds"),
            ({"readTimeoutSeconds": 60}, "readTimeoutSeconds"),
            ({"authentication": {"type": "apiKey", "header": "X-Key: x\n"}}, "header"),
            ({"authentication": {"type": "oauth2", "tokenUrl": "http://crm.example.com/token"}}, "tokenUrl"),
        ],
    )
    def test_malformed_settings_name_only_the_field(self, changes: dict[str, Any], field: str) -> None:
        settings = by_api_key("https://crm.example.com") | changes

        with pytest.raises(ValidationError, match=field) as raised:
            http.adapter("crm", settings, Credentials({}), lambda: 10, http.Client())

        assert "crm.example.com" not in str(raised.value)

    def test_time_outs_have_defaults(self) -> None:
        system = http.adapter("crm", by_api_key("https://crm.example.com"), Credentials({}), lambda: 10, http.Client())

        assert (system._timeout.connect_timeout, system._timeout.read_timeout) == (2, 5)
