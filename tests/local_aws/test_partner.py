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
from cli.downstream.partner import ApiKeys, Fault, FaultKind, Partner
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
@settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_in_the_contract(case: Case[Any]) -> None:
    with Partner("crm", ApiKeys()) as partner:
        case.headers["X-Api-Key"] = partner.authentication.credentials()["apiKey"]

        case.call_and_validate(base_url=partner.url, excluded_checks=LOOSER_THAN_THE_CONTRACT, timeout=SECONDS)


def test_deleted_account_stays_deleted(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.create(), range(8)))

    assert sorted(statuses) == [200] * 7 + [201]
    assert client.partner.accounts() == client.get("/accounts").json() == {"ada": ACCOUNT}
    assert client.create(lastName="Byron") == 422  # another request with the same key
    assert client.create(key="another") == 409
    assert [client.remove(), client.remove(), client.remove("grace")] == [204, 204, 204]
    assert [client.create(), client.create(key="another"), client.create("grace")] == [410, 410, 410]
    assert (client.partner.accounts(), client.partner.tombstones()) == ({}, {"ada", "grace"})


@pytest.mark.parametrize("kind", ["reset", "reset-after", "hang", "hang-after"])
def test_answer_is_lost_before_or_after_the_work(kind: str, client: Client) -> None:
    client.partner.plan("ada", Fault(FaultKind(kind)))
    client.timeout = IMPATIENT if "hang" in kind else SECONDS

    with pytest.raises(httpx.ReadTimeout if "hang" in kind else httpx.ReadError) as lost:
        client.create()

    assert any(client.partner.answers("ada") for _ in back_off(SECONDS))
    assert ("reset by peer" in str(lost.value)) == ("reset" in kind)
    assert ("ada" in client.partner.accounts()) == ("after" in kind)
    client.timeout = SECONDS
    assert client.create() == (200 if "after" in kind else 201)


def test_faults_are_planned_over_http(client: Client) -> None:
    fault = {"kind": "unavailable", "times": 2, "retryAfterSeconds": 3, "methods": ["PUT"]}

    as_curl = {"Content-Type": "application/x-www-form-urlencoded"}
    plan = json.dumps({"customer": "ada", "faults": [fault]})

    assert client.put("/faults", content=plan, headers=as_curl).status_code == 204
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
