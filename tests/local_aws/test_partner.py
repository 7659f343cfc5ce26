"""A partner keeps the contract, and fails as planned."""

import fcntl
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import negative_data_rejection

from cli import PROJECT
from cli.downstream.partner import ApiKeys, ClientCredentials, Fault, FaultKind, Partner, authentication
from cli.machine.polling import back_off
from cli.machine.supervised_process import LOCK
from tests.customers import a_customer

pytest_plugins = ["schemathesis.pytest.plugin"]  # only here: slow to import

contract = schemathesis.openapi.from_path(PROJECT / "docs" / "downstream.openapi.json")
# It takes any account with the required fields, and any customerId and Idempotency-Key.
LOOSER_THAN_THE_CONTRACT: list[Any] = [negative_data_rejection]
ACCOUNT = a_customer(accountId="account-1")
SECONDS = 240  # far more than it takes
IMPATIENT = 0.3  # seconds before a client gives up on a hanging partner


class Client(httpx.Client):
    """A caller with the partner's API key."""

    def __init__(self, partner: Partner) -> None:
        headers = {"X-Api-Key": partner.authentication.credentials().get("apiKey", "")}
        self.partner = partner
        super().__init__(base_url=partner.url, headers=headers, trust_env=False, timeout=SECONDS)

    def create(self, customer_id: str = "ada", key: str = "ada:provision", **changes: Any) -> int:
        headers, account = {"Idempotency-Key": key}, ACCOUNT | changes
        return self.put(f"/accounts/{customer_id}", headers=headers, json=account).status_code

    def remove(self, customer_id: str = "ada") -> int:
        return self.delete(f"/accounts/{customer_id}", headers={"Idempotency-Key": "any"}).status_code


@pytest.fixture
def client() -> Iterator[Client]:
    with Partner("crm", ApiKeys()) as partner, Client(partner) as client:
        yield client


@contract.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_in_the_contract(case: Case[Any]) -> None:
    with Partner("crm", ApiKeys()) as partner:
        case.headers["X-Api-Key"] = partner.authentication.credentials()["apiKey"]

        case.call_and_validate(base_url=partner.url, excluded_checks=LOOSER_THAN_THE_CONTRACT, timeout=SECONDS)


class TestAccounts:
    def test_concurrent_requests_create_one_account(self, client: Client) -> None:
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda _: client.create(), range(8)))

        assert sorted(statuses) == [200] * 7 + [201]
        assert client.partner.accounts() == client.get("/accounts").json() == {"ada": ACCOUNT}

    def test_key_is_for_one_request(self, client: Client) -> None:
        client.create()

        assert client.create(lastName="Byron") == 422
        assert client.create("grace") == 422
        assert client.create(key="another") == 409
        assert client.partner.accounts() == {"ada": ACCOUNT}

    def test_deleted_account_stays_deleted(self, client: Client) -> None:
        client.create()

        assert [client.remove(), client.remove(), client.remove("grace")] == [204, 204, 204]

        assert [client.create(), client.create(key="another"), client.create("grace")] == [410, 410, 410]
        assert (client.partner.accounts(), client.partner.tombstones()) == ({}, {"ada", "grace"})

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_idempotency_key_is_required(self, method: str, client: Client) -> None:
        answer = client.request(method, "/accounts/ada", json=ACCOUNT)

        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
        assert client.partner.accounts() == {}
        assert client.partner.tombstones() == set()


class TestAuthentication:
    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_old_api_key_is_rejected(self, method: str, client: Client) -> None:
        client.partner.authentication.rotate()

        answer = client.request(method, "/accounts/ada", json=ACCOUNT)

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].strip() == "Apikey"

    def test_client_credentials_get_a_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        oauth = ClientCredentials()
        known = oauth.credentials()["clientId"], oauth.credentials()["clientSecret"]
        form = {"grant_type": "client_credentials"}
        with Partner("billing", oauth) as billing, Client(billing) as client:
            granted = client.post("/token", auth=known, data=form).json()
            client.headers["Authorization"] = f"Bearer {granted['access_token']}"
            assert (granted["token_type"], client.create()) == ("Bearer", 201)

            monkeypatch.setattr(authentication, "TOKEN_SECONDS", 0)
            expired = client.post("/token", auth=known, data=form).json()["access_token"]
            for token in (expired, "guessed"):
                client.headers["Authorization"] = f"Bearer {token}"
                assert client.create() == 401

            unknown = client.post("/token", auth=(known[0], "guessed"), data=form)
            assert (unknown.status_code, unknown.json()) == (401, {"error": "invalid_client"})
            other = client.post("/token", auth=known, data={"grant_type": "password"})
            assert (other.status_code, other.json()) == (400, {"error": "unsupported_grant_type"})


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "seconds", "status", "retry_after"),
        [
            ("refuse", None, 422, None),
            ("unavailable", None, 503, None),
            ("unavailable", 7, 503, "7"),
            ("throttle", None, 429, "1"),
        ],
    )
    def test_status_fault_occurs_as_often_as_planned(
        self, kind: str, seconds: int | None, status: int, retry_after: str | None, client: Client
    ) -> None:
        client.partner.plan("ada", Fault(FaultKind(kind), times=2, retry_after_seconds=seconds))

        assert client.put("/accounts/ada").headers.get("Retry-After") == retry_after
        assert [client.create(), client.create(), client.create("grace", key="another")] == [status, 201, 201]
        assert client.partner.answers("ada") == [f"PUT {status}"] * 2 + ["PUT 201"]

    def test_email_address_selects_the_customer(self, client: Client) -> None:
        client.partner.plan(
            ACCOUNT["email"], Fault(FaultKind.UNAVAILABLE, methods=frozenset({"DELETE"})), Fault(FaultKind.REFUSE)
        )

        assert [client.create(), client.create(), client.remove(), client.remove()] == [422, 201, 503, 204]

    @pytest.mark.parametrize("kind", ["reset", "reset-after", "hang", "hang-after"])
    def test_answer_is_lost_before_or_after_the_work(self, kind: str, client: Client) -> None:
        client.partner.plan("ada", Fault(FaultKind(kind)))
        client.timeout = IMPATIENT if "hang" in kind else SECONDS

        with pytest.raises(httpx.ReadTimeout if "hang" in kind else httpx.ReadError) as lost:
            client.create()

        assert any(client.partner.answers("ada") for _ in back_off(SECONDS))
        assert ("reset by peer" in str(lost.value)) == ("reset" in kind)
        assert ("ada" in client.partner.accounts()) == ("after" in kind)
        client.timeout = SECONDS
        assert client.create() == (200 if "after" in kind else 201)

    def test_faults_are_planned_over_http(self, client: Client) -> None:
        fault = {"kind": "unavailable", "times": 2, "retryAfterSeconds": 3, "methods": ["PUT"]}

        assert client.put("/faults", json={"customer": "ada", "faults": [fault]}).status_code == 204
        assert client.create() == 503
        assert client.put("/faults", json={"customer": "ada", "faults": [{"kind": "explode"}]}).status_code == 400
        assert client.create() == 503
        assert client.create() == 201


def test_stop_ends_hanging_requests(client: Client) -> None:
    client.partner.plan("ada", Fault(FaultKind.HANG))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(client.create)
        assert any(client.partner.answers("ada") for _ in back_off(SECONDS))

        client.partner.stop()

        assert isinstance(hanging.exception(SECONDS), httpx.ReadError)
        with pytest.raises(httpx.ConnectError):
            client.create()


def test_partners_end_with_their_emulator(tmp_path: Path) -> None:
    with (tmp_path / LOCK).open("wb") as emulator:  # it holds the lock while it runs
        fcntl.flock(emulator, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "cli.downstream", str(tmp_path)]
        partners = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)
        with partners.stdout or io.BytesIO() as output:
            systems = json.loads(output.read())
        assert [system["name"] for system in systems] == ["crm", "billing"]
        for system in systems:
            answer = httpx.put(f"{system['settings']['url']}/accounts/1", trust_env=False, timeout=SECONDS)
            assert answer.status_code == 401
        assert "crm: PUT 1 401" in (tmp_path / "partners.log").read_text(encoding="utf-8")

    assert partners.wait(SECONDS) == 0
