"""The functions in their runtime, on a fake of AWS that each test begins anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from moto import mock_aws
from moto.backends import get_backend
from moto.core.base_backend import BackendDict

from tests.in_process.template import name_of
from tests.invocations import sample
from tests.unit.deployment import ACCOUNT, REFERENCES, REGION, Functions, import_functions
from tests.unit.partner import Partner, partner
from tests.unit.runtime import Runtime
from tests.unit.systems import API_KEY, QUEUE_SETTINGS, QUEUE_URL, Systems, by_api_key, make_client
from tests.unit.table import Table

# How long an example takes says how busy the machine is.
settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")


@pytest.fixture(scope="session")
def functions() -> Functions:
    """The functions' modules by name; clients are their attributes."""
    return import_functions()


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """The fake of AWS: to start it for each test would take longer than most of them."""
    with mock_aws():
        yield


@pytest.fixture
def runtime(
    aws: None, functions: Functions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runtime]:
    """Invokes functions; in the end, nothing that a customer typed may be in what was logged."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)  # for the clients that are made when they are needed
    BackendDict.reset()
    runtime = Runtime(capsys)
    yield runtime
    runtime.assert_nothing_personal_was_logged()


@pytest.fixture
def queued(functions: Functions, runtime: Runtime) -> Callable[[], list[tuple[str, Any]]]:
    """The registration queue: the id and the document of each message in it."""
    created = functions["register_customer"].sqs.create_queue(QueueName="RegistrationQueue")
    assert created["QueueUrl"] == REFERENCES["RegistrationQueue"]
    (queue,) = get_backend("sqs")[ACCOUNT][REGION].queues.values()
    return lambda: [(message.id, json.loads(message.body)) for message in queue._messages]


@pytest.fixture
def idempotency_table(functions: Functions, runtime: Runtime) -> Table:
    return Table("IdempotencyTable", functions["create_account"].dynamodb)


@pytest.fixture
def customers_table(functions: Functions, runtime: Runtime) -> Table:
    return Table("CustomersTable", functions["create_account"].dynamodb)


@pytest.fixture
def timelines_table(functions: Functions, runtime: Runtime) -> Table:
    return Table("TimelinesTable", functions["track_onboarding"].dynamodb)


@pytest.fixture
def fraud_table(functions: Functions, runtime: Runtime) -> Table:
    return Table("FraudTable", functions["detect_fraud"].dynamodb)


@pytest.fixture
def analytics_table(functions: Functions, runtime: Runtime) -> Table:
    return Table("AnalyticsTable", functions["record_analytics"].dynamodb)


@pytest.fixture
def published(runtime: Runtime) -> Callable[[], list[dict[str, Any]]]:
    """The bus: the envelope of each event that was put on it, in order."""
    events, sqs = make_client("events"), make_client("sqs")
    queue = sqs.create_queue(QueueName="observer")["QueueUrl"]
    bus = REFERENCES["EventBus"]
    events.create_event_bus(Name=bus)
    events.put_rule(Name="observer", EventBusName=bus, EventPattern='{"source": [{"prefix": ""}]}')
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:observer"
    events.put_targets(Rule="observer", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    assert queue.endswith(f"/{ACCOUNT}/observer")
    observer = get_backend("sqs")[ACCOUNT][REGION].queues["observer"]
    return lambda: [json.loads(message.body) for message in observer._messages]


@pytest.fixture
def systems(functions: Functions, runtime: Runtime) -> Iterator[Systems]:
    """The downstream systems: none, until they are configured."""
    yield Systems(functions)
    Systems(functions)  # the next test finds nothing cached


@pytest.fixture
def crm() -> Iterator[Partner]:
    """A downstream system that speaks HTTP."""
    with partner() as crm:
        yield crm


@pytest.fixture
def commands(runtime: Runtime) -> Callable[[], list[Any]]:
    """The queue of a downstream system: its messages, each with its `body`, its `group_id` and `deduplication_id`."""
    sqs = make_client("sqs")
    assert sqs.create_queue(QueueName="ledger.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"] == QUEUE_URL
    queue = get_backend("sqs")[ACCOUNT][REGION].queues["ledger.fifo"]
    return lambda: list(queue._messages)


@pytest.fixture
def executions(functions: Functions, runtime: Runtime) -> list[Any]:
    """The executions of the state machine, each with its `name` and `execution_input`; they never end."""
    functions["start_onboarding"].sfn.create_state_machine(
        name=name_of("CustomerOnboardingStateMachine"),
        definition="{}",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/CustomerOnboarding",
    )
    (state_machine,) = get_backend("stepfunctions")[ACCOUNT][REGION].state_machines
    assert state_machine.arn == REFERENCES["CustomerOnboardingStateMachine"]
    executions: list[Any] = state_machine.executions
    return executions


@pytest.fixture
def outbox(functions: Functions, runtime: Runtime) -> list[Any]:
    """The e-mails that SES sent, each with its `id`, `source`, `destinations`, `subject` and HTML `body`."""
    functions["send_welcome_email"].ses.create_email_identity(EmailIdentity=REFERENCES["SenderEmail"])
    outbox: list[Any] = get_backend("ses")[ACCOUNT][REGION].sent_messages
    return outbox


@pytest.fixture
def all_of_aws(  # noqa: PLR0913, PLR0917 - all that any function calls
    queued: object,
    idempotency_table: Table,
    customers_table: Table,
    timelines_table: Table,
    fraud_table: Table,
    analytics_table: Table,
    executions: object,
    outbox: object,
    published: object,
    commands: object,
    systems: Systems,
    crm: Partner,
) -> None:
    """All that any function calls is there; the systems are those of the samples."""
    systems.configure(sample("provision_account/http")["system"], by_api_key(crm.url), {"apiKey": API_KEY})
    systems.configure(sample("provision_account/sqs")["system"], QUEUE_SETTINGS)
