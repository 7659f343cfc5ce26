"""A partner keeps the contract's every rule, and fails as it is told to."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import negative_data_rejection

from cli import PROJECT
from cli.downstream.partner import ApiKeys, ClientCredentials, Fault, FaultKind, Partner
from cli.machine.polling import back_off
from cli.machine.supervised_process import is_running, start_supervised
from tests.customers import a_customer

pytest_plugins = ["schemathesis.pytest.plugin"]  # here alone: it takes long to import

contract = schemathesis.openapi.from_path(PROJECT / "docs" / "downstream.openapi.json")
# It takes any account that has the fields which every account has, and any Idempotency-Key.
LOOSER_THAN_THE_CONTRACT: list[Any] = [negative_data_rejection]
PROBLEM = "application/problem+json"
SECONDS = 240  # far more than it takes
IMPATIENT = 0.3  # seconds until a client gives up on a partner that hangs


@dataclass
class Client:
    """A caller with the partner's API key; `key` and `body` are those of the first request, unless told otherwise."""

    partner: Partner
    customer_id: str = field(default_factory=lambda: str(uuid4()))
    body: dict[str, Any] = field(default_factory=lambda: a_customer(accountId=str(uuid4())))

    def put(self, customer_id: str | None = None, *, key: str | None = "", **changes: Any) -> httpx.Response:
        return self.send("PUT", customer_id, key=key, json=self.body | changes)

    def delete(self, customer_id: str | None = None, *, key: str | None = "") -> httpx.Response:
        return self.send("DELETE", customer_id, key=key)

    def send(self, method: str, customer_id: str | None = None, *, key: str | None, **request: Any) -> httpx.Response:
        customer_id = customer_id or self.customer_id
        action = {"PUT": "provision", "DELETE": "deprovision"}[method]
        headers = {"X-Api-Key": self.partner.authentication.credentials()["apiKey"]}
        if key is not None:
            headers["Idempotency-Key"] = key or f"{customer_id}:{action}"
        return self.raw(method, f"/accounts/{customer_id}", headers=headers, **request)

    def raw(self, method: str, path: str, **request: Any) -> httpx.Response:
        return httpx.request(method, f"{self.partner.url}{path}", trust_env=False, **({"timeout": SECONDS} | request))


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Partner]:
    with Partner("crm", tmp_path / "crm.sqlite", ApiKeys()) as started:
        yield started


@pytest.fixture
def client(partner: Partner) -> Client:
    return Client(partner)


@pytest.fixture
def oauth(tmp_path: Path) -> ClientCredentials:
    return ClientCredentials(token_seconds=60)


@pytest.fixture
def guarded(tmp_path: Path, oauth: ClientCredentials) -> Iterator[Partner]:
    """A partner with OAuth."""
    with Partner("billing", tmp_path / "billing.sqlite", oauth) as started:
        yield started


def statuses(*answers: httpx.Response) -> list[int]:
    return [answer.status_code for answer in answers]


def meet_hang(client: Client) -> None:
    """Give up on a request; return when the partner hangs, which is once it has done what it does before."""
    with pytest.raises(httpx.ReadTimeout):
        client.send("PUT", key="k", json=client.body, timeout=IMPATIENT)
    assert any(client.partner.answers(client.customer_id) for _ in back_off(SECONDS))


def test_an_account_is_created_once_however_often_the_request_comes(partner: Partner, client: Client) -> None:
    assert statuses(client.put(), client.put(), client.put()) == [201, 200, 200]

    assert partner.accounts() == {client.customer_id: client.body}
    assert partner.tombstones() == set()


def test_equal_requests_at_once_create_one_account(partner: Partner, client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.put(), range(8)))

    assert sorted(statuses(*answers)) == [200] * 7 + [201]
    assert partner.accounts() == {client.customer_id: client.body}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_request_without_idempotency_key_is_bad(partner: Partner, client: Client, method: str) -> None:
    answer = client.send(method, key=None, json=client.body)

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert partner.accounts() == {}
    assert partner.tombstones() == set()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"email": "ada@example.com"}', b"\xff"])
def test_an_account_that_can_not_be_read_is_bad(partner: Partner, client: Client, body: bytes) -> None:
    assert client.send("PUT", key="k", content=body).status_code == 400
    assert partner.accounts() == {}


def test_the_same_key_with_another_body_is_refused(partner: Partner, client: Client) -> None:
    client.put()

    assert client.put(lastName="Byron").status_code == 422
    assert partner.accounts() == {client.customer_id: client.body}


def test_the_same_key_for_another_customer_is_refused(partner: Partner, client: Client) -> None:
    client.put(key="k")

    assert client.put("another", key="k").status_code == 422
    assert partner.accounts().keys() == {client.customer_id}


def test_an_account_that_is_there_with_another_key_is_a_conflict(client: Client) -> None:
    client.put()

    assert client.put(key="another").status_code == 409


def test_a_deleted_account_leaves_nothing_but_a_tombstone_and_never_comes_again(
    partner: Partner, client: Client
) -> None:
    client.put()

    assert statuses(client.delete(), client.delete()) == [204, 204]

    assert partner.accounts() == {}
    assert partner.tombstones() == {client.customer_id}
    assert statuses(client.put(), client.put(key="another"), client.put(lastName="Byron")) == [410] * 3
    assert partner.accounts() == {}
    assert client.body["email"].encode() not in partner.state.accounts.file.read_bytes()


def test_the_deletion_of_what_never_was_succeeds_and_keeps_a_late_creation_out(
    partner: Partner, client: Client
) -> None:
    assert client.delete().status_code == 204

    assert partner.tombstones() == {client.customer_id}
    assert client.put().status_code == 410
    assert partner.accounts() == {}


def test_a_creation_and_a_deletion_at_once_leave_nothing(partner: Partner, client: Client) -> None:
    customers = [str(uuid4()) for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        for customer_id in customers:
            pool.submit(client.put, customer_id)
            pool.submit(client.delete, customer_id)

    assert partner.accounts() == {}
    assert partner.tombstones() == set(customers)


def test_accounts_outlive_the_server(tmp_path: Path) -> None:
    file = tmp_path / "crm.sqlite"
    with Partner("crm", file, ApiKeys()) as partner:
        client = Client(partner)
        client.put()

    with Partner("crm", file, ApiKeys()) as restarted:
        client.partner = restarted

        assert restarted.accounts() == {client.customer_id: client.body}
        assert client.put().status_code == 200


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "guessed"}, {"X-Api-Key": ""}, {"X-Api-Key": "schlüssel"}])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_who_has_not_the_api_key_is_not_let_in(client: Client, method: str, headers: dict[str, str]) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}

    answer = client.raw(method, "/accounts/1", headers=encoded, json=client.body)

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, PROBLEM)
    assert answer.headers["WWW-Authenticate"] == "ApiKey"
    assert client.partner.accounts() == {}


def test_a_rotated_api_key_lets_nobody_in_any_more(partner: Partner, client: Client) -> None:
    former = partner.authentication.credentials()

    partner.authentication.rotate()

    headers = {"X-Api-Key": former["apiKey"], "Idempotency-Key": "k"}
    assert client.raw("PUT", "/accounts/1", headers=headers, json=client.body).status_code == 401
    assert client.put().status_code == 201


def a_token(partner: Partner, oauth: ClientCredentials) -> httpx.Response:
    credentials = oauth.credentials()
    return Client(partner).raw(
        "POST",
        "/token",
        data={"grant_type": "client_credentials"},
        auth=(credentials["clientId"], credentials["clientSecret"]),
    )


def with_token(partner: Partner, token: str) -> httpx.Response:
    client = Client(partner)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    return client.raw("PUT", "/accounts/1", headers=headers, json=client.body)


def test_client_credentials_are_exchanged_for_a_token_that_lets_in(guarded: Partner, oauth: ClientCredentials) -> None:
    answer = a_token(guarded, oauth)

    granted = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 60)
    assert with_token(guarded, granted["access_token"]).status_code == 201


@pytest.mark.parametrize("token", ["guessed", "Bearer", "a b"])
def test_another_token_does_not_let_in(guarded: Partner, token: str) -> None:
    answer = with_token(guarded, token)

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, PROBLEM)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_runs_out(tmp_path: Path) -> None:
    oauth = ClientCredentials(token_seconds=0)
    with Partner("billing", tmp_path / "billing.sqlite", oauth) as partner:
        token = a_token(partner, oauth).json()["access_token"]

        assert with_token(partner, token).status_code == 401


def test_a_token_that_was_revoked_does_not_let_in(guarded: Partner, oauth: ClientCredentials) -> None:
    token = a_token(guarded, oauth).json()["access_token"]

    oauth.revoke()

    assert with_token(guarded, token).status_code == 401


@pytest.mark.parametrize("authorization", ["", "Basic", "Basic !", "Basic Z3Vlc3NlZA==", "Basic Zzpn", "Bearer Zzpn"])
def test_other_client_credentials_get_no_token(guarded: Partner, authorization: str) -> None:
    form = {"grant_type": "client_credentials"}

    answer = Client(guarded).raw("POST", "/token", data=form, headers={"Authorization": authorization})

    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_another_grant_is_not_known(guarded: Partner, oauth: ClientCredentials) -> None:
    credentials = oauth.credentials()

    answer = Client(guarded).raw(
        "POST",
        "/token",
        data={"grant_type": "password"},
        auth=(credentials["clientId"], credentials["clientSecret"]),
    )

    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/accounts", 404),
        ("PUT", "/accounts/a/b", 404),
        ("PUT", "/accounts/" + "a" * 81, 404),
        ("PUT", "/accounts/a?b", 404),
        ("POST", "/token", 404),  # with an API key there are no tokens
        ("POST", "/accounts/a", 405),
        ("DELETE", "/faults", 405),
    ],
)
def test_there_is_nothing_else(client: Client, method: str, path: str, status: int) -> None:
    answer = client.raw(method, path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM)


def test_a_body_of_unknown_or_excessive_length_is_not_read(client: Client) -> None:
    assert client.raw("PUT", "/accounts/a", content=iter([b"{}"])).status_code == 411
    assert client.raw("PUT", "/accounts/a", content=b" " * 70_000).status_code == 413


@pytest.mark.parametrize(("kind", "status"), [("refuse", 422), ("unavailable", 503), ("throttle", 429)])
def test_a_fault_answers_a_status_as_often_as_planned(partner: Partner, client: Client, kind: str, status: int) -> None:
    partner.plan(client.customer_id, Fault(FaultKind(kind), times=2))

    answers = [client.put(), client.put()]
    assert partner.accounts() == {}

    assert statuses(*answers, client.put(), client.put()) == [status, status, 201, 200]
    assert partner.state.faults.left(client.customer_id) == 0
    assert partner.answers(client.customer_id) == [f"PUT {status}"] * 2 + ["PUT 201", "PUT 200"]


def test_a_fault_may_ask_for_patience(partner: Partner, client: Client) -> None:
    partner.plan(
        client.customer_id,
        Fault(FaultKind.UNAVAILABLE),
        Fault(FaultKind.UNAVAILABLE, retry_after_seconds=7),
        Fault(FaultKind.THROTTLE),
        Fault(FaultKind.THROTTLE, retry_after_seconds=7),
    )

    assert [client.put().headers.get("Retry-After") for _ in range(4)] == [None, "7", "1", "7"]


def test_a_fault_is_met_by_the_customer_and_by_nobody_else(partner: Partner, client: Client) -> None:
    partner.plan(client.customer_id, Fault(FaultKind.REFUSE))

    assert client.put("another", key="another").status_code == 201
    assert client.put().status_code == 422


def test_a_fault_may_be_planned_for_an_email_address_before_there_is_a_customer_id(
    partner: Partner, client: Client
) -> None:
    methods = frozenset({"PUT", "DELETE"})
    partner.plan(client.body["email"], Fault(FaultKind.UNAVAILABLE, times=3, methods=methods))

    answers = [client.put(), client.put(), client.delete(), client.delete()]

    assert statuses(*answers) == [503, 503, 503, 204]


def test_a_fault_is_met_by_its_methods_alone(partner: Partner, client: Client) -> None:
    partner.plan(client.customer_id, Fault(FaultKind.UNAVAILABLE, methods=frozenset({"DELETE"})))

    assert statuses(client.put(), client.delete(), client.delete()) == [201, 503, 204]


def test_a_plan_replaces_the_former(partner: Partner, client: Client) -> None:
    partner.plan(client.customer_id, Fault(FaultKind.REFUSE, times=9))

    partner.plan(client.customer_id)

    assert client.put().status_code == 201


@pytest.mark.parametrize(("kind", "is_done"), [("reset", False), ("reset-after", True)])
def test_a_connection_is_reset_before_or_after_the_work(
    partner: Partner, client: Client, kind: str, *, is_done: bool
) -> None:
    partner.plan(client.customer_id, Fault(FaultKind(kind)))

    with pytest.raises(httpx.ReadError) as reset:
        client.put()

    assert "reset by peer" in str(reset.value)
    assert (client.customer_id in partner.accounts()) == is_done
    assert client.put().status_code == (200 if is_done else 201)


@pytest.mark.parametrize(("kind", "is_done"), [("hang", False), ("hang-after", True)])
def test_a_partner_that_hangs_does_not_answer_before_or_after_the_work(
    partner: Partner, client: Client, kind: str, *, is_done: bool
) -> None:
    partner.plan(client.customer_id, Fault(FaultKind(kind)))

    meet_hang(client)

    assert (client.customer_id in partner.accounts()) == is_done
    assert client.put(key="k").status_code == (200 if is_done else 201)


def test_a_deletion_may_be_lost_on_its_way_back(partner: Partner, client: Client) -> None:
    client.put()
    partner.plan(client.customer_id, Fault(FaultKind.RESET_AFTER, methods=frozenset({"DELETE"})))

    with pytest.raises(httpx.ReadError):
        client.delete()

    assert partner.tombstones() == {client.customer_id}
    assert client.delete().status_code == 204


def test_another_process_plans_faults_by_http(partner: Partner, client: Client) -> None:
    fault = {"kind": "unavailable", "times": 2, "retryAfterSeconds": 3, "methods": ["PUT"]}

    planned = client.raw("PUT", "/faults", json={"customer": client.body["email"], "faults": [fault]})

    assert planned.status_code == 204
    answers = [client.put(), client.put(), client.put()]
    assert statuses(*answers) == [503, 503, 201]
    assert answers[0].headers["Retry-After"] == "3"


@pytest.mark.parametrize("fault", [{"kind": "explode"}, {"kind": "hang", "times": 0}, {"kind": "hang", "often": 1}, {}])
def test_a_fault_that_is_not_known_is_not_planned(client: Client, fault: dict[str, Any]) -> None:
    answer = client.raw("PUT", "/faults", json={"customer": client.customer_id, "faults": [fault]})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, PROBLEM)
    assert client.put().status_code == 201


def test_stopping_ends_those_who_wait_and_leaves_no_port_and_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with (
        Partner("crm", tmp_path / "crm.sqlite", ApiKeys()) as partner,
        httpx.Client(trust_env=False, timeout=SECONDS) as idle,
    ):
        client = Client(partner)
        idle.put(f"{partner.url}/accounts/1")  # its connection stays open
        partner.plan(client.customer_id, Fault(FaultKind.HANG))
        meet_hang(client)

        partner.stop()

        assert set(threading.enumerate()) == before
        with socket.socket() as probe:
            assert probe.connect_ex(partner.server_address) != 0
    assert partner.accounts() == {}


def test_a_partner_that_nobody_stopped_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, httpx\nfrom cli.downstream.partner import ApiKeys, Partner\n"
        "partner = Partner('crm', pathlib.Path(sys.argv[1]), ApiKeys())\n"
        "client = httpx.Client(trust_env=False, timeout=240)\nprint(client.put(partner.url).status_code)"
    )

    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "crm.sqlite")]
    said = subprocess.check_output(command, encoding="utf-8", timeout=SECONDS)

    assert said.strip() == "404"


def test_its_log_has_neither_credentials_nor_anything_of_a_customer_but_the_id(
    guarded: Partner, oauth: ClientCredentials, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    token = a_token(guarded, oauth).json()["access_token"]
    with_token(guarded, token)
    with_token(guarded, "guessed")
    Client(guarded).raw("PUT", "/accounts/ada@example.com?secret")

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("cli")]
    assert ours == ["billing: PUT 1 201", "billing: PUT 1 401"]
    assert "".join(capfd.readouterr()) == ""


def test_what_the_stack_is_told_of_it_is_all_that_it_takes(partner: Partner, guarded: Partner) -> None:
    crm, billing = partner.configuration, guarded.configuration

    assert (crm.name, crm.settings["authentication"]) == ("crm", {"type": "apiKey"})
    assert billing.settings["authentication"] == {"type": "oauth2", "tokenUrl": f"{guarded.url}/token"}
    assert crm.settings["url"] == partner.url
    assert not set((crm.credentials or {}).values()) & set(re.findall(r"[\w-]+", str(crm.settings)))


@contract.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_does_what_the_contract_says(case: Case[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    with Partner("crm", tmp_path_factory.mktemp("partner") / "crm.sqlite", ApiKeys()) as partner:
        case.headers["X-Api-Key"] = partner.authentication.credentials()["apiKey"]

        case.call_and_validate(base_url=partner.url, excluded_checks=LOOSER_THAN_THE_CONTRACT, timeout=SECONDS)


def test_run_beside_an_emulator_they_serve_until_it_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    environment = {"PATH": os.defpath}
    with start_supervised(
        folder, ["/bin/sleep", "600"], directory=tmp_path, environment=environment, output=DEVNULL
    ) as emulator:
        assert any(is_running(folder) for _ in back_off(SECONDS))
        command = [sys.executable, "-m", "cli.downstream", str(folder)]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as partners:
            assert partners.stdout
            systems = json.loads(partners.stdout.read())
            urls = [system["settings"]["url"] for system in systems]
            assert [system["name"] for system in systems] == ["crm", "billing"]
            answers = [httpx.put(f"{url}/accounts/1", trust_env=False, timeout=SECONDS) for url in urls]
            assert statuses(*answers) == [401, 401]
            assert "crm: PUT 1 401" in (folder / "partners.log").read_text(encoding="utf-8")

            emulator.terminate()

            assert partners.wait(SECONDS) == 0
