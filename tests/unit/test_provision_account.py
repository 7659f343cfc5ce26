"""The functions of the tasks ProvisionAccount and DeprovisionAccount."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from onboarding.domain.customer import SENT_DOWNSTREAM
from onboarding.domain.errors import DownstreamUnavailable, UnexpectedAnswer
from tests.invocations import a_deprovision_task, a_provision_task
from tests.unit.partner import Answer, Partner
from tests.unit.personal_data import found
from tests.unit.runtime import Runtime
from tests.unit.systems import API_KEY, QUEUE_SETTINGS, Systems, by_api_key

TASKS = {"provision_account": a_provision_task, "deprovision_account": a_deprovision_task}
DONE = {"provision_account": "PROVISIONED", "deprovision_account": "DEPROVISIONED"}

Invoke = Callable[..., Any]


@pytest.fixture(params=TASKS)
def function(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def invoke(function: str, runtime: Runtime) -> Iterator[Invoke]:
    """Invokes the function with its task; in the end, nothing secret may be in what was logged."""
    yield lambda **changes: runtime.invoke(function, TASKS[function](**changes))
    assert found({API_KEY}, runtime._read() + runtime._raised) == set()


def test_system_may_take_an_api_key(
    function: str, invoke: Invoke, runtime: Runtime, systems: Systems, crm: Partner
) -> None:
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})
    crm.answers = [Answer(204)]

    assert invoke(customerId="ada", correlationId="request") == {"system": "crm", "status": DONE[function]}

    assert (crm.paths, crm.header("X-Api-Key")) == (["/accounts/ada"], [API_KEY])
    (line,) = runtime.log
    assert line["message"] == f"Account {DONE[function].lower()}"
    assert (line["customer_id"], line["correlation_id"], line["system"]) == ("ada", "request", "crm")


def test_system_may_be_behind_a_queue(
    function: str, invoke: Invoke, systems: Systems, commands: Callable[[], list[Any]]
) -> None:
    systems.configure("ledger", QUEUE_SETTINGS)

    assert invoke(system="ledger", customerId="ada") == {"system": "ledger", "status": DONE[function]}

    (command,) = commands()
    assert json.loads(command.body)["customerId"] == "ada"


def test_kept_field_is_sent_to_no_system(
    runtime: Runtime,
    systems: Systems,
    crm: Partner,
    commands: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("onboarding.domain.tasks.SENT_DOWNSTREAM", SENT_DOWNSTREAM - {"email"})
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})
    systems.configure("ledger", QUEUE_SETTINGS)
    crm.answers = [Answer(201)]

    for system in ("crm", "ledger"):
        runtime.invoke("provision_account", a_provision_task(system=system))

    (request,), (command,) = crm.requests, commands()
    for sent in (json.loads(request.body), json.loads(command.body)["account"]):
        assert sent.keys() == {"firstName", "lastName", "accountId"}


@pytest.mark.parametrize(
    ("status", "error", "level"),
    [(503, DownstreamUnavailable, "INFO"), (418, UnexpectedAnswer, "ERROR")],
)
def test_workflow_gets_only_the_status(  # noqa: PLR0913, PLR0917
    status: int,
    error: type[Exception],
    level: str,
    invoke: Invoke,
    runtime: Runtime,
    systems: Systems,
    crm: Partner,
) -> None:
    systems.configure("crm", by_api_key(crm.url), {"apiKey": API_KEY})
    crm.answers = [Answer(status, body=f"Nothing with {API_KEY}")]

    with pytest.raises(error, match=f"^HTTP {status}$") as raised:
        invoke()

    assert type(raised.value) is error
    assert runtime.log[-1]["level"] == level


@pytest.mark.parametrize(
    ("is_configured", "secret", "error"),
    [(False, None, "ParameterNotFound"), (True, None, "ResourceNotFoundException"), (True, API_KEY, "Expecting value")],
)
def test_misconfigured_system_fails_uncaught(  # noqa: PLR0913
    secret: str | None, error: str, invoke: Invoke, systems: Systems, crm: Partner, *, is_configured: bool
) -> None:
    if is_configured:
        systems.configure("crm", by_api_key(crm.url), secret)

    with pytest.raises((ClientError, json.JSONDecodeError), match=error):
        invoke()

    assert crm.requests == []


@pytest.mark.parametrize("field", ["customerId", "system"])
def test_malformed_task_fails_by_its_field(field: str, invoke: Invoke) -> None:
    with pytest.raises(ValidationError, match=field) as raised:
        invoke(**{field: "../other"})

    assert raised.value.error_count() == 1
