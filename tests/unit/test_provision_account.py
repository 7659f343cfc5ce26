"""The functions of the tasks ProvisionAccount and DeprovisionAccount."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from onboarding.adapters import downstream
from onboarding.adapters.downstream import UnknownKind
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable
from tests.invocations import a_deprovision_task, a_provision_task
from tests.unit.partner import Answer, Partner
from tests.unit.personal_data import found
from tests.unit.runtime import Runtime
from tests.unit.systems import API_KEY, CLIENT, QUEUE_SETTINGS, Systems, by_api_key, by_token

TASKS = {"provision_account": a_provision_task, "deprovision_account": a_deprovision_task}
DONE = {"provision_account": "PROVISIONED", "deprovision_account": "DEPROVISIONED"}
pytestmark = pytest.mark.parametrize("function", TASKS)


@pytest.fixture(autouse=True)
def _nothing_secret_is_logged_or_kept(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield
    secrets = {API_KEY, "n3w-k3y", CLIENT["clientSecret"], "t0ken-1"}
    assert found(secrets, runtime._read() + runtime._raised) == set()


def invoke(runtime: Runtime, function: str, **changes: Any) -> Any:
    return runtime.invoke(function, TASKS[function](**changes))


def test_an_account_in_a_system_that_takes_an_api_key(
    function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})

    answer = invoke(runtime, function, customerId="ada")

    assert answer == {"system": "crm", "status": DONE[function]}
    assert crm.paths == ["/accounts/ada"]
    assert crm.header("X-Api-Key") == [API_KEY]


def test_an_account_in_a_system_that_takes_access_tokens(
    function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_token(crm.url), CLIENT)
    crm.answers = [Answer(body={"access_token": "t0ken-1", "expires_in": 60}), Answer()]

    assert invoke(runtime, function)["status"] == DONE[function]
    assert invoke(runtime, function)["status"] == DONE[function]

    assert crm.header("Authorization")[1:] == ["Bearer t0ken-1"] * 2


def test_an_account_in_a_system_behind_a_queue(
    function: str, runtime: Runtime, systems: Systems, commands: Callable[[], list[Any]]
) -> None:
    systems.configure("ledger", QUEUE_SETTINGS)

    answer = invoke(runtime, function, system="ledger", customerId="ada")

    (command,) = commands()
    assert answer == {"system": "ledger", "status": DONE[function]}
    assert json.loads(command.body)["customerId"] == "ada"


@pytest.mark.parametrize(("status", "error"), [(422, DownstreamRefused), (503, DownstreamUnavailable)])
def test_what_the_system_answers_is_told_to_the_workflow_by_its_status_alone(  # noqa: PLR0913, PLR0917
    status: int, error: type[Exception], function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    task = TASKS[function]()
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})
    crm.answers = [Answer(status, body=f"{task} with {API_KEY}")]

    with pytest.raises(error, match=f"^HTTP {status}$") as raised:
        runtime.invoke(function, task)

    assert type(raised.value) is error


def test_a_key_that_was_rotated_is_fetched_anew(
    function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})
    invoke(runtime, function)
    systems.rotate("crm", {"apiKey": "n3w-k3y"})
    invoke(runtime, function)
    crm.answers = [Answer(401), Answer()]

    invoke(runtime, function)

    assert crm.header("X-Api-Key") == [API_KEY, API_KEY, API_KEY, "n3w-k3y"]  # cached, until it was refused


def test_settings_that_were_changed_are_met_when_they_are_no_longer_cached(
    function: str,
    runtime: Runtime,
    systems: Systems,
    crm: Partner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systems.configure("crm", by_api_key(f"{crm.url}/old"), {"apiKey": API_KEY})
    invoke(runtime, function)
    systems.configure("crm", by_api_key(f"{crm.url}/new"))
    invoke(runtime, function)
    later = time.time() + downstream.CACHE_SECONDS
    monkeypatch.setattr(downstream, "time", SimpleNamespace(time=lambda: later))

    invoke(runtime, function)

    assert [path.split("/")[1] for path in crm.paths] == ["old", "old", "new"]


def test_a_system_that_is_not_configured_fails_uncaught(function: str, runtime: Runtime, systems: Systems) -> None:
    with pytest.raises(ClientError, match="ParameterNotFound"):
        invoke(runtime, function)


def test_a_system_of_an_unknown_kind_fails_uncaught(function: str, runtime: Runtime, systems: Systems) -> None:
    systems.configure("crm", {"kind": "soap"})

    with pytest.raises(UnknownKind, match="soap"):
        invoke(runtime, function)


def test_a_system_without_its_secret_fails_uncaught(
    function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_api_key(crm.url))

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        invoke(runtime, function)

    assert crm.requests == []


@pytest.mark.parametrize("secret", [API_KEY, {"apiKey": f"{API_KEY}\n"}, [API_KEY], {"key": API_KEY}])
def test_a_malformed_secret_fails_and_is_not_shown(
    secret: object, function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_api_key(crm.url), secret)

    with pytest.raises((json.JSONDecodeError, ValidationError)):
        invoke(runtime, function)

    assert crm.requests == []


def test_every_line_of_the_log_names_the_customer_the_request_and_the_system(
    function: str, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})

    invoke(runtime, function, customerId="ada", correlationId="request")

    (line,) = runtime.log
    assert line["message"] == f"Account {DONE[function].lower()}"
    assert (line["customer_id"], line["correlation_id"], line["system"]) == ("ada", "request", "crm")


@pytest.mark.parametrize(
    ("field", "value"), [("customerId", "../other"), ("system", "../other"), ("system", ""), ("system", "x" * 41)]
)
def test_a_malformed_task_fails_and_says_what_is_wrong_with_it(
    field: str, value: str, function: str, runtime: Runtime
) -> None:
    with pytest.raises(ValidationError, match=field) as raised:
        invoke(runtime, function, **{field: value})

    assert raised.value.error_count() == 1
