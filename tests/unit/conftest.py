"""The functions in their runtime, on a fake of AWS that is empty when a test starts."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from moto import mock_aws
from moto.backends import get_backend
from moto.core.base_backend import BackendDict

from tests.in_process.functions import modules
from tests.in_process.template import name_of, reference_to
from tests.invocations import sample
from tests.unit.deployment import ACCOUNT, REGION, Functions
from tests.unit.partner import Answer, Partner
from tests.unit.runtime import Runtime
from tests.unit.systems import API_KEY, QUEUE_SETTINGS, Systems, by_api_key, make_client
from tests.unit.table import Table

# The same examples in each run: a fault shows where it is made. How long one takes depends on how busy the machine is.
settings.register_profile("unit", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")


@pytest.fixture(scope="session")
def functions() -> Functions:
    """The functions' modules by name; clients are their attributes."""
    return modules()


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """The fake of AWS: starting it for each test would take longer than most tests."""
    with mock_aws():
        yield


@pytest.fixture
def runtime(
    aws: None, functions: Functions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runtime]:
    """Invokes functions; fails the test if anything that a customer typed was logged."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)  # for clients that are made later
    BackendDict.reset()
    runtime = Runtime(capsys)
    yield runtime
    runtime.assert_nothing_personal_was_logged()


def _queue(name: str, **attributes: str) -> list[Any]:
    """Make a queue; return its messages, each with its `id`, `body`, `group_id` and `deduplication_id`."""
    make_client("sqs").create_queue(QueueName=name, Attributes=attributes)
    messages: list[Any] = get_backend("sqs")[ACCOUNT][REGION].queues[name]._messages
    return messages


@pytest.fixture
def queued(runtime: Runtime) -> Callable[[], list[tuple[str, Any]]]:
    """The registration queue: the id and the document of each message in it."""
    messages = _queue("RegistrationQueue")
    return lambda: [(message.id, json.loads(message.body)) for message in messages]


@pytest.fixture
def dead_letters(runtime: Runtime) -> Callable[[], list[str]]:
    """The bodies of the messages in the registrations' dead-letter queue."""
    messages = _queue("RegistrationDeadLetterQueue")
    return lambda: [message.body for message in messages]


def _table(logical_id: str) -> Any:
    """A fixture that makes this table of the template."""

    @pytest.fixture
    def table(runtime: Runtime) -> Table:
        return Table(logical_id, make_client("dynamodb"))

    return table


idempotency_table = _table("IdempotencyTable")
customers_table = _table("CustomersTable")
timelines_table = _table("TimelinesTable")
fraud_table = _table("FraudTable")
analytics_table = _table("AnalyticsTable")


@pytest.fixture
def published(runtime: Runtime) -> Callable[[], list[dict[str, Any]]]:
    """The bus: the envelope of each event that was put on it, in order."""
    messages, events, bus = _queue("observer"), make_client("events"), reference_to("EventBus")
    events.create_event_bus(Name=bus)
    events.put_rule(Name="observer", EventBusName=bus, EventPattern='{"source": [{"prefix": ""}]}')
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:observer"
    events.put_targets(Rule="observer", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return lambda: [json.loads(message.body) for message in messages]


@pytest.fixture
def systems(functions: Functions, runtime: Runtime) -> Iterator[Systems]:
    """The downstream systems: none, until they are configured."""
    yield Systems(functions)
    Systems(functions)  # the next test finds nothing cached


@pytest.fixture
def crm() -> Iterator[Partner]:
    """A downstream system that speaks HTTP."""
    with Partner() as crm:
        yield crm


@pytest.fixture
def commands(runtime: Runtime) -> Callable[[], list[Any]]:
    """The messages in the queue of a downstream system."""
    messages = _queue("ledger.fifo", FifoQueue="true")
    return lambda: list(messages)


@pytest.fixture
def executions(functions: Functions, runtime: Runtime) -> list[Any]:
    """The executions of the state machine, each with its `name` and `execution_input`; they never end."""
    functions["start_onboarding"].sfn.create_state_machine(
        name=name_of("CustomerOnboardingStateMachine"),
        definition="{}",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/CustomerOnboarding",
    )
    (state_machine,) = get_backend("stepfunctions")[ACCOUNT][REGION].state_machines
    state_machine.arn = reference_to("CustomerOnboardingStateMachineAliaslive")  # the fake starts nothing by an alias
    executions: list[Any] = state_machine.executions
    return executions


@pytest.fixture
def outbox(functions: Functions, runtime: Runtime) -> list[Any]:
    """The e-mails that SES sent, each with its `id`, `source`, `destinations`, `subject` and HTML `body`."""
    functions["send_welcome_email"].ses.create_email_identity(EmailIdentity=reference_to("SenderEmail"))
    outbox: list[Any] = get_backend("ses")[ACCOUNT][REGION].sent_messages
    return outbox


@pytest.fixture
def all_of_aws(request: pytest.FixtureRequest, systems: Systems, crm: Partner) -> None:
    """Everything that any function calls, with the samples' downstream systems."""
    for table in ("idempotency", "customers", "timelines", "fraud", "analytics"):
        request.getfixturevalue(f"{table}_table")
    for other in ("queued", "dead_letters", "executions", "outbox", "published", "commands"):
        request.getfixturevalue(other)
    crm.answers = [Answer(204)]
    systems.configure(sample("provision_account/http")["system"], by_api_key(crm.url), {"apiKey": API_KEY})
    systems.configure(sample("provision_account/sqs")["system"], QUEUE_SETTINGS)
