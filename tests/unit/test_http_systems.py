"""Downstream systems of kind http: what they are asked, and what their answers mean."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from onboarding.adapters.downstream import Adapter, http
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable
from onboarding.domain.tasks import Account
from tests.customers import a_customer
from tests.unit.partner import HANGS, RESETS, Answer, Partner, closed_port, partner
from tests.unit.personal_data import found, typed
from tests.unit.systems import API_KEY, CLIENT, by_api_key, by_token

CUSTOMER = a_customer(firstName="Zoë", phone="+442079460958", address={"city": "Łódź", "country": "PL"})
ACCOUNT = CUSTOMER | {"accountId": "account-1"}
GRANTED = Answer(body={"access_token": "t0ken-1", "token_type": "Bearer", "expires_in": 3600})
GRANTED_ANEW = Answer(body={"access_token": "t0ken-2", "token_type": "Bearer", "expires_in": 3600})
REFUSALS = [302, 400, 403, 405, 409, 413, 422, 451]
OUTAGES = [408, 425, 429, 500, 502, 503, 504]
PROVISION, DEPROVISION = "provision", "deprovision"
IMPATIENT = {"readTimeoutSeconds": 0.2}


class Clock:
    """A function's time: `left` seconds until it is ended, spent by nothing but sleep."""

    def __init__(self, left: float = 30) -> None:
        self.left = left
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.left -= seconds

    def monotonic(self) -> float:
        return self.now


class Credentials:
    """A system's secret, which is cached until it is fetched again; `fetched` counts how often it was."""

    def __init__(self, *secrets: dict[str, Any]) -> None:
        self._secrets = list(secrets)
        self._cached = self._secrets[0]
        self.fetched = 0

    def __call__(self, *, fresh: bool = False) -> dict[str, Any]:
        if fresh:
            self.fetched += 1
            self._cached = self._secrets[min(self.fetched, len(self._secrets) - 1)]
        return self._cached


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(http, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def _nothing_secret_or_personal_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO):
        yield
    assert secrets_in(caplog.text) == set()


@pytest.fixture
def connect(crm: Partner, clock: Clock) -> Callable[..., Adapter]:
    """Connects to the partner, by its API key unless other settings and credentials are given."""
    client = http.Client()

    def connect(settings: dict[str, Any] | None = None, credentials: Credentials | None = None) -> Adapter:
        secret = credentials or Credentials({"apiKey": API_KEY})
        return http.adapter(settings or by_api_key(crm.url), secret, lambda: clock.left, client)

    return connect


def call(system: Adapter, action: str = PROVISION) -> None:
    """Provision the account of the customer `ada`, or deprovision it."""
    if action == PROVISION:
        system.provision("ada", Account.model_validate(ACCOUNT))
    else:
        system.deprovision("ada")


def secrets_in(text: str) -> set[str]:
    """What is secret or personal in a text."""
    secrets = {API_KEY, CLIENT["clientSecret"], "t0ken-1", "t0ken-2", basic(**CLIENT)}
    return found(typed({"customerData": CUSTOMER}) | secrets, text)


def basic(**client: str) -> str:
    encoded = {"s3cr3t/of+the crm": "s3cr3t%2Fof%2Bthe+crm"}.get(client["clientSecret"], client["clientSecret"])
    return b64encode(f"{client['clientId']}:{encoded}".encode()).decode()


class TestARequest:
    def test_creates_the_account_by_put_with_all_that_the_system_is_told(
        self, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        call(connect())

        (request,) = crm.requests
        assert (request.method, request.path) == ("PUT", "/accounts/ada")
        assert request.headers["Content-Type"] == "application/json"
        assert json.loads(request.body) == ACCOUNT

    def test_deletes_the_account_by_delete_and_says_no_more(
        self, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        call(connect(), DEPROVISION)

        (request,) = crm.requests
        assert (request.method, request.path, request.body) == ("DELETE", "/accounts/ada", "")

    @pytest.mark.parametrize("action", [PROVISION, DEPROVISION])
    def test_has_an_idempotency_key_that_a_repetition_has_too(
        self, action: str, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        call(connect(), action)
        call(connect(), action)

        assert crm.header("Idempotency-Key") == [f"ada:{action}"] * 2

    def test_has_the_base_url_before_and_nothing_of_the_customer_but_the_customer_id(
        self, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        for action in (PROVISION, DEPROVISION):
            call(connect(by_api_key(f"{crm.url}/crm/v2")), action)

        assert crm.paths == ["/crm/v2/accounts/ada"] * 2

    @pytest.mark.parametrize(("settings", "header"), [({}, "X-Api-Key"), ({"header": "X-Crm-Key"}, "X-Crm-Key")])
    def test_has_the_api_key_in_its_header(
        self, settings: dict[str, str], header: str, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        call(connect(by_api_key(crm.url, authentication={"type": "apiKey"} | settings)))

        assert crm.header(header) == [API_KEY]
        assert crm.header("Authorization") == [None]


class TestAnAnswer:
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    @pytest.mark.parametrize("action", [PROVISION, DEPROVISION])
    def test_of_success_is_success(
        self, action: str, status: int, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(status)]

        call(connect(), action)

        assert len(crm.requests) == 1

    @pytest.mark.parametrize("status", [404, 410])
    def test_that_there_is_no_account_is_success_of_a_deletion_alone(
        self, status: int, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(status)]

        call(connect(), DEPROVISION)

        with pytest.raises(DownstreamRefused, match=f"^HTTP {status}$"):
            call(connect(), PROVISION)

    @pytest.mark.parametrize("status", REFUSALS)
    @pytest.mark.parametrize("action", [PROVISION, DEPROVISION])
    def test_that_no_retry_would_change_is_a_refusal(
        self, action: str, status: int, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(status, {"Location": f"{crm.url}/elsewhere"}, f"{CUSTOMER} is not welcome")]

        with pytest.raises(DownstreamRefused) as raised:
            call(connect(), action)

        assert str(raised.value) == f"HTTP {status}"
        assert crm.paths == ["/accounts/ada"]  # nor was a redirect followed

    @pytest.mark.parametrize("status", OUTAGES)
    @pytest.mark.parametrize("action", [PROVISION, DEPROVISION])
    def test_that_a_retry_may_change_is_an_outage(
        self, action: str, status: int, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(status, body=f"{CUSTOMER} again?")]

        with pytest.raises(DownstreamUnavailable) as raised:
            call(connect(), action)

        assert str(raised.value) == f"HTTP {status}"
        assert len(crm.requests) == 1

    @pytest.mark.parametrize(("answer", "error"), [(HANGS, "ReadTimeoutError"), (RESETS, "ProtocolError")])
    @pytest.mark.parametrize("action", [PROVISION, DEPROVISION])
    def test_that_never_comes_is_an_outage(
        self, action: str, answer: Answer, error: str, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [answer, Answer()]  # a second request would succeed
        settings = by_api_key(crm.url) | (IMPATIENT if answer is HANGS else {})

        with pytest.raises(DownstreamUnavailable) as raised:
            call(connect(settings), action)

        assert str(raised.value) == error
        assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)
        assert crm.await_paths() == ["/accounts/ada"]

    def test_of_nobody_is_an_outage(self, connect: Callable[..., Adapter]) -> None:
        with pytest.raises(DownstreamUnavailable, match=r"^NewConnectionError$"):
            call(connect(by_api_key(f"http://127.0.0.1:{closed_port()}")))


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    def test_is_waited_out_and_the_call_is_repeated(
        self, status: int, crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(status, {"Retry-After": "7"}), Answer(status, {"Retry-After": "2"}), Answer()]

        call(connect())

        assert clock.slept == [7, 2]
        assert len(crm.requests) == 3
        assert len(set(crm.header("Idempotency-Key"))) == 1

    def test_may_be_a_date(self, crm: Partner, clock: Clock, connect: Callable[..., Adapter]) -> None:
        clock.left, day = 100_000, timedelta(days=1)
        tomorrow = format_datetime(datetime.now(UTC) + day, usegmt=True)
        crm.answers = [Answer(429, {"Retry-After": tomorrow}), Answer()]

        call(connect())

        (slept,) = clock.slept
        assert 0 < slept <= day.total_seconds()

    @pytest.mark.parametrize(("left", "slept"), [(14, [7]), (13.9, [])])
    def test_is_waited_out_only_where_one_more_attempt_fits_the_time_that_is_left(
        self, left: float, slept: list[float], crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        # An attempt takes 2 s to connect and 5 s to read.
        clock.left = left
        crm.answers = [Answer(429, {"Retry-After": "7"}), Answer()]

        if slept:
            call(connect())
        else:
            with pytest.raises(DownstreamUnavailable, match=r"^HTTP 429$"):
                call(connect())

        assert clock.slept == slept
        assert len(crm.requests) == 1 + len(slept)

    def test_is_waited_out_until_the_time_is_up_and_no_longer(
        self, crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(429, {"Retry-After": "10"})]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 429$"):
            call(connect())

        assert clock.slept == [10, 10]
        assert clock.left > 0

    @pytest.mark.parametrize("value", ["0", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999"])
    def test_that_says_nothing_to_wait_for_is_left_to_the_workflow(
        self, value: str, crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(429, {"Retry-After": value})]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 429$"):
            call(connect())

        assert clock.slept == []
        assert len(crm.requests) == 1

    def test_of_another_answer_is_no_reason_to_wait(
        self, crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [Answer(500, {"Retry-After": "1"})]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 500$"):
            call(connect())

        assert clock.slept == []


class TestAnApiKey:
    def test_that_was_rotated_is_fetched_anew_once(self, crm: Partner, connect: Callable[..., Adapter]) -> None:
        credentials = Credentials({"apiKey": "old"}, {"apiKey": API_KEY})
        crm.answers = [Answer(401), Answer()]

        call(connect(credentials=credentials))

        assert crm.header("X-Api-Key") == ["old", API_KEY]
        assert credentials.fetched == 1

    def test_that_is_refused_anew_too_is_an_outage_which_someone_may_mend(
        self, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        credentials = Credentials({"apiKey": API_KEY})
        crm.answers = [Answer(401)]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 401$"):
            call(connect(credentials=credentials))

        assert len(crm.requests) == 2
        assert credentials.fetched == 1

    def test_is_fetched_anew_once_whatever_comes_after(self, crm: Partner, connect: Callable[..., Adapter]) -> None:
        credentials = Credentials({"apiKey": "old"}, {"apiKey": API_KEY})
        crm.answers = [Answer(401), Answer(429, {"Retry-After": "1"}), Answer()]

        call(connect(credentials=credentials))

        assert crm.header("X-Api-Key") == ["old", API_KEY, API_KEY]
        assert credentials.fetched == 1

    def test_is_not_fetched_anew_where_no_time_is_left_to_use_it(
        self, crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        clock.left = 1
        crm.answers = [Answer(401), Answer()]

        with pytest.raises(DownstreamUnavailable, match=r"^HTTP 401$"):
            call(connect())

    @pytest.mark.parametrize(
        "secret",
        [{}, {"apikey": API_KEY}, {"apiKey": f"{API_KEY}\n"}, {"apiKey": f"{API_KEY}…"}, {"apiKey": ""}, API_KEY],
    )
    def test_that_is_malformed_is_not_shown(self, secret: Any, crm: Partner, connect: Callable[..., Adapter]) -> None:
        with pytest.raises(ValidationError) as raised:
            call(connect(credentials=Credentials(secret)))

        assert raised.value.error_count() == 1
        assert secrets_in(str(raised.value)) == set()
        assert crm.requests == []


class TestAnAccessToken:
    def test_is_granted_for_the_client_s_credentials_and_authorises_the_call(
        self, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [GRANTED, Answer()]

        call(connect(by_token(crm.url, scope="accounts"), Credentials(CLIENT)))

        token_request, request = crm.requests
        assert (token_request.method, token_request.path) == ("POST", "/token")
        assert token_request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert token_request.headers["Authorization"] == f"Basic {basic(**CLIENT)}"
        assert parse_qs(token_request.body) == {"grant_type": ["client_credentials"], "scope": ["accounts"]}
        assert request.headers["Authorization"] == "Bearer t0ken-1"

    def test_is_used_until_shortly_before_it_runs_out(
        self, crm: Partner, clock: Clock, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [GRANTED, Answer(), Answer(), GRANTED_ANEW, Answer()]
        system = connect(by_token(crm.url), Credentials(CLIENT))

        call(system)
        clock.now += 3569
        call(system)
        clock.now += 1
        call(connect(by_token(crm.url), Credentials(CLIENT)))

        assert crm.paths == ["/token", "/accounts/ada", "/accounts/ada", "/token", "/accounts/ada"]
        assert crm.header("Authorization")[-1] == "Bearer t0ken-2"

    def test_without_a_lifetime_is_used_once(self, crm: Partner, connect: Callable[..., Adapter]) -> None:
        without = Answer(body={"access_token": "t0ken-1"})
        crm.answers = [without, Answer(), without, Answer()]
        system = connect(by_token(crm.url), Credentials(CLIENT))

        call(system)
        call(system)

        assert crm.paths == ["/token", "/accounts/ada"] * 2

    @pytest.mark.parametrize(
        ("other", "client"),
        [({"scope": "other"}, CLIENT), ({}, CLIENT | {"clientId": "other"})],
        ids=["of another scope", "of another client"],
    )
    def test_is_not_used_in_place_of_another(
        self, other: dict[str, str], client: dict[str, str], crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [GRANTED, Answer(), GRANTED_ANEW, Answer()]

        call(connect(by_token(crm.url), Credentials(CLIENT)))
        call(connect(by_token(crm.url, **other), Credentials(client)))

        assert crm.header("Authorization")[-1] == "Bearer t0ken-2"

    def test_that_is_refused_is_granted_anew_once(self, crm: Partner, connect: Callable[..., Adapter]) -> None:
        credentials = Credentials(CLIENT)
        crm.answers = [GRANTED, Answer(401), GRANTED_ANEW, Answer()]

        call(connect(by_token(crm.url), credentials))

        assert crm.header("Authorization")[1::2] == ["Bearer t0ken-1", "Bearer t0ken-2"]
        assert credentials.fetched == 1

    @pytest.mark.parametrize("status", [400, 401])
    def test_is_asked_for_with_credentials_fetched_anew_where_these_are_not_known(
        self, status: int, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        credentials = Credentials(CLIENT | {"clientSecret": "old"}, CLIENT)
        crm.answers = [Answer(status, body={"error": "invalid_client"}), GRANTED, Answer()]

        call(connect(by_token(crm.url), credentials))

        assert crm.header("Authorization")[1:] == [f"Basic {basic(**CLIENT)}", "Bearer t0ken-1"]
        assert credentials.fetched == 1

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
            (HANGS, "ReadTimeoutError", 1),
            (RESETS, "ProtocolError", 1),
        ],
        ids=lambda it: it if isinstance(it, str) else None,
    )
    def test_that_is_not_granted_is_an_outage(
        self, answer: Answer, message: str, requests: int, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        crm.answers = [answer]
        settings = by_token(crm.url) | (IMPATIENT if answer is HANGS else {})

        with pytest.raises(DownstreamUnavailable) as raised:
            call(connect(settings, Credentials(CLIENT)))

        assert str(raised.value) == message
        assert crm.await_paths() == ["/token"] * requests

    @pytest.mark.parametrize("missing", ["clientId", "clientSecret"])
    def test_is_not_asked_for_with_malformed_credentials_which_are_not_shown(
        self, missing: str, crm: Partner, connect: Callable[..., Adapter]
    ) -> None:
        secret = {name: value for name, value in CLIENT.items() if name != missing}

        with pytest.raises(ValidationError, match=missing) as raised:
            call(connect(by_token(crm.url), Credentials(secret)))

        assert secrets_in(str(raised.value)) == set()
        assert crm.requests == []


class TestSettings:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"url": None}, "url"),
            ({"url": "http://crm.example.com"}, "url"),
            ({"url": "https://crm.example.com/"}, "url"),
            ({"url": "file:///etc/passwd"}, "url"),
            ({"connectTimeoutSeconds": 0}, "connectTimeoutSeconds"),
            ({"readTimeoutSeconds": 60}, "readTimeoutSeconds"),
            ({"authentication": None}, "authentication"),
            ({"authentication": {"type": "none"}}, "authentication"),
            ({"authentication": {"type": "apiKey", "header": "X-Key: x\n"}}, "header"),
            ({"authentication": {"type": "oauth2"}}, "tokenUrl"),
            ({"authentication": {"type": "oauth2", "tokenUrl": "http://crm.example.com/token"}}, "tokenUrl"),
        ],
        ids=lambda it: it if isinstance(it, str) else json.dumps(it),
    )
    def test_that_are_malformed_name_the_field_and_no_value(self, changes: dict[str, Any], field: str) -> None:
        settings = {k: v for k, v in (by_api_key("https://crm.example.com") | changes).items() if v is not None}

        with pytest.raises(ValidationError, match=field) as raised:
            http.adapter(settings, Credentials({}), lambda: 10, http.Client())

        assert "crm.example.com" not in str(raised.value)
        assert "passwd" not in str(raised.value)

    def test_may_be_no_more_than_where_the_system_is_and_how_to_authenticate(self) -> None:
        settings = {"kind": "http", "url": "https://crm.example.com", "authentication": {"type": "apiKey"}}

        system = http.adapter(settings, Credentials({}), lambda: 10, http.Client())

        assert system._timeout.connect_timeout == 2
        assert system._timeout.read_timeout == 5


def test_systems_do_not_hear_of_one_another_s_credentials(connect: Callable[..., Adapter]) -> None:
    with partner() as other, partner() as one:
        one.answers, other.answers = [GRANTED, Answer()], [GRANTED_ANEW, Answer()]
        call(connect(by_token(one.url), Credentials(CLIENT)))
        call(connect(by_token(other.url), Credentials(CLIENT | {"clientSecret": "other"})))

        assert one.header("Authorization")[-1] == "Bearer t0ken-1"
        assert other.header("Authorization")[-1] == "Bearer t0ken-2"
