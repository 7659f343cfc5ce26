"""The function behind POST /api/customers."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest
from botocore.stub import Stubber

from onboarding.adapters import workflow
from onboarding.adapters.workflow import execution_arn
from onboarding.domain.customer import CustomerData
from onboarding.domain.registration import customer_id_again, customer_id_for
from onboarding.runtime.api import parse_request, status_url
from tests.customers import a_customer
from tests.in_process.template import arn_of
from tests.invocations import a_customer_task, an_api_request
from tests.unit.deployment import CORS, RESOURCES, Functions
from tests.unit.faults import DENIED, OUT_OF_REACH, during, failing, losing_the_answer
from tests.unit.runtime import Runtime
from tests.unit.systems import make_client
from tests.unit.table import Table
from tests.wiring.definition import rendered

FUNCTION = "register_customer"
KEY = "b7c2f7a4-6f0e-4d1c-9d0b-3f5a8c1e2d4f"
TRY_AGAIN = {
    "title": "Service Unavailable",
    "status": 503,
    "detail": "The registration may or may not have been accepted. Retry with the same Idempotency-Key.",
}
(LOST, *_) = OUT_OF_REACH

Queued = Callable[[], list[tuple[str, Any]]]
Register = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.usefixtures("idempotency_table", "customers_table")


@pytest.fixture
def register(runtime: Runtime) -> Register:
    """Sends a registration and returns the answer, its body parsed."""

    def register(customer: object, idempotency_key: str | None = None) -> dict[str, Any]:
        response = runtime.invoke(FUNCTION, an_api_request(customer, idempotency_key=idempotency_key))
        return dict(response | {"body": json.loads(response["body"])})

    return register


@pytest.fixture
def executions(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """What Step Functions may be asked, and says."""
    monkeypatch.setattr(workflow, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    sfn = make_client("stepfunctions")
    monkeypatch.setattr(
        functions[FUNCTION], "outcomes", workflow.Outcomes(lambda: sfn, arn_of("CustomerOnboardingStateMachine"))
    )
    with Stubber(sfn) as stubber:
        yield stubber


def test_registration_is_queued_as_typed(register: Register, queued: Queued) -> None:
    customer = a_customer(firstName="<b>Ada</b>", phone="020 7946 0958", address={"city": "London"})
    before = datetime.now(UTC)

    response = register(customer)

    ((message_id, message),) = queued()
    customer_id = message["customerId"]
    location = {"Location": f"customers/{customer_id}/onboarding"}
    assert response == {
        "statusCode": 202,
        "headers": {"Content-Type": "application/json", **CORS, **location},
        "body": {"message": "Registration accepted", "customerId": customer_id, "trackingId": message_id},
    }
    assert before <= datetime.fromisoformat(message.pop("timestamp")) <= datetime.now(UTC)
    assert message == {
        "eventType": "CustomerRegistered",
        "customerId": customer_id,
        "correlationId": an_api_request("")["requestContext"]["requestId"],
        "data": customer,
        "apiUrl": "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/v1/api/customers",
    }


def test_customer_id_of_a_key_never_changes() -> None:
    ada = CustomerData(first_name="Ada", last_name="Lovelace", email="ada@example.com")

    assert customer_id_for(ada, "key") == "691dbe4a-f4f1-576f-ae09-cb1154a693d0"
    assert customer_id_for(ada, "key") != customer_id_for(ada.model_copy(update={"first_name": "Grace"}), "key")


def test_no_key_takes_the_id_of_a_repetition(register: Register, queued: Queued) -> None:
    customer = a_customer()
    again = customer_id_again(CustomerData.model_validate(customer), "ada")

    for key in ("again ada", '"again ada"', "again\\nada", "again\nada", "anew ada"):
        register(customer, key)

    assert again == customer_id_again(CustomerData.model_validate(customer), "ada")
    assert again not in {message["customerId"] for _, message in queued()}
    assert len(queued()) == 3


def test_earlier_record_is_recognised() -> None:
    """Its digest is of these fields: one more, even without a value, would make a retry another registration."""
    customer = a_customer(address={"city": "London"})

    request = parse_request(an_api_request(customer, idempotency_key=KEY)).model_dump()["customer"]

    new = request.keys() - {"first_name", "last_name", "email", "phone", "address"}
    new |= request["address"].keys() - {"street", "city", "postal_code", "country"}
    assert not new, f"functions/onboarding/domain/customer.py: mark {', '.join(new)} as LATER"


@pytest.mark.parametrize("base", ["https://a1b2.execute-api.us-east-1.amazonaws.com/v1", "https://api.example.com"])
@pytest.mark.parametrize("path", ["/api/customers", "/api/customers/"])
def test_location_works_under_any_base_path(base: str, path: str) -> None:
    assert urljoin(f"{base}{path}", status_url("ada", path)) == f"{base}/api/customers/ada/onboarding"


@pytest.mark.parametrize(("first", "second"), [(None, None), (KEY, f"{KEY}-2")])
def test_new_key_or_none_registers_again(
    first: str | None, second: str | None, register: Register, queued: Queued
) -> None:
    customer = a_customer()

    answers = register(customer, first), register(customer, second)

    assert len({answer["body"]["customerId"] for answer in answers}) == len(queued()) == 2


@pytest.mark.parametrize(
    ("customer", "status", "title"),
    [
        (a_customer(email=None), 400, "Bad Request"),
        (a_customer(lastName="x" * 16 * 1024), 413, "Content Too Large"),
    ],
)
def test_bad_input_is_refused_and_not_queued(  # noqa: PLR0913, PLR0917 - the world of a request
    customer: object, status: int, title: str, register: Register, queued: Queued, runtime: Runtime
) -> None:
    for idempotency_key in (None, KEY):
        response = register(customer, idempotency_key)

        assert response["headers"] == {"Content-Type": "application/problem+json", **CORS}
        assert response["statusCode"] == response["body"]["status"] == status
        assert response["body"]["title"] == title
        assert ("errors" in response["body"]) == (status == 400)
    assert queued() == []
    assert runtime.metrics == {"RegistrationRefused": 2}


def test_repeated_key_gets_the_same_answer(register: Register, queued: Queued) -> None:
    customer = a_customer()

    first, second = register(customer, KEY), register(customer, KEY)

    assert first["statusCode"] == 202
    assert second == first
    assert len(queued()) == 1


@pytest.mark.parametrize("ended_by", ["cancel_account", "erase_customer"])
def test_key_that_failed_is_a_409(
    ended_by: str, register: Register, queued: Queued, runtime: Runtime, idempotency_table: Table
) -> None:
    customer = a_customer()
    first = register(customer, KEY)
    task = a_customer_task(customerId=first["body"]["customerId"], customerData=customer)
    runtime.invoke("create_account", task)
    assert register(customer, KEY) == first
    runtime.invoke(ended_by, task)

    response = register(customer, KEY)

    detail = "The registration with this Idempotency-Key failed. Register again with a new key."
    assert response["body"] == {"title": "Conflict", "status": 409, "detail": detail}
    assert "Retry-After" not in response["headers"]
    idempotency_table.forget()
    assert register(customer, KEY) == response
    assert len(queued()) == 1
    assert register(customer, f"{KEY}-2")["statusCode"] == 202


@pytest.mark.usefixtures("queued")
def test_key_is_remembered_until_the_end(register: Register, idempotency_table: Table) -> None:
    register(a_customer(), KEY)

    (record,) = idempotency_table.items.values()

    expires_at = RESOURCES["IdempotencyTable"]["Properties"]["TimeToLiveSpecification"]["AttributeName"]
    assert int(record[expires_at]["N"]) > time.time() + rendered()["TimeoutSeconds"]


ENDS: list[tuple[str, str, str | None]] = [  # the execution's status, its output's, what the answer says happened
    ("FAILED", "", "failed, and may still be resumed"),
    ("TIMED_OUT", "", "failed, and may still be resumed"),
    ("ABORTED", "", "failed, and may still be resumed"),
    ("SUCCEEDED", "REJECTED", "was rejected"),
    ("SUCCEEDED", "EXPIRED", "was not confirmed in time"),
    ("SUCCEEDED", "ONBOARDED", None),
    ("RUNNING", "", None),
    ("ExecutionDoesNotExist", "", None),
    ("ThrottlingException", "", None),
]


@pytest.mark.parametrize(("status", "outcome", "said"), ENDS)
def test_repeated_key_tells_of_an_end_without_account(  # noqa: PLR0913, PLR0917 - the world of a request
    status: str, outcome: str, said: str | None, register: Register, queued: Queued, executions: Stubber
) -> None:
    customer = a_customer()
    first = register(customer, KEY)  # asks nothing
    machine = arn_of("CustomerOnboardingStateMachine")
    asked = {"executionArn": execution_arn(machine, first["body"]["customerId"])}
    answer = asked | {"stateMachineArn": machine, "startDate": datetime.now(UTC), "status": status}
    if status.isupper():
        answer |= {"output": json.dumps({"status": outcome})} if outcome else {}
        executions.add_response("describe_execution", answer, asked)
    else:
        executions.add_client_error("describe_execution", status, expected_params=asked)

    second, third = register(customer, KEY), register(customer, KEY)

    executions.assert_no_pending_responses()
    if said:
        assert (second["statusCode"], second["body"]["status"]) == (409, 409)
        assert second["body"]["detail"].startswith(f"The registration with this Idempotency-Key {said}.")
        assert second["headers"]["Location"] == first["headers"]["Location"]
    else:
        assert second == first
    assert third == first  # within the same five seconds
    assert len(queued()) == 1


@pytest.mark.usefixtures("queued")
def test_end_is_asked_for_every_five_seconds(
    register: Register, executions: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = a_customer()
    register(customer, KEY)
    for _ in range(2):
        executions.add_client_error("describe_execution", "ExecutionDoesNotExist")

    for seconds in (0, 4.9, 5):
        monkeypatch.setattr(workflow, "time", SimpleNamespace(monotonic=lambda at=1000.0 + seconds: at))
        register(customer, KEY)

    executions.assert_no_pending_responses()


def test_key_with_another_customer_is_refused(register: Register, queued: Queued, runtime: Runtime) -> None:
    customer = a_customer()
    another = customer | {"lastName": "King"}
    register(customer, KEY)

    assert register(another, KEY)["body"] == {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "The Idempotency-Key was used with another registration.",
    }
    assert len(queued()) == 1
    assert [(line["message"], line["customer_id"]) for line in runtime.log] == [
        ("Registration accepted", customer_id_for(CustomerData.model_validate(customer), KEY)),
        ("Registration refused", customer_id_for(CustomerData.model_validate(another), KEY)),
    ]
    assert runtime.metrics == {"RegistrationAccepted": 1, "RegistrationRefused": 1}


def test_simulated_customer_is_not_counted(register: Register, queued: Queued, runtime: Runtime) -> None:
    register(a_customer(email="success+1@simulator.amazonses.com"))

    assert (len(queued()), runtime.metrics) == (1, {"RegistrationAccepted": 0})


def test_concurrent_repeat_is_a_409(register: Register, queued: Queued, functions: Functions) -> None:
    customer = a_customer()
    meanwhile: list[dict[str, Any]] = []

    with during(functions[FUNCTION].sqs, "SendMessage", lambda: meanwhile.append(register(customer, KEY))):
        first = register(customer, KEY)

    (response,) = meanwhile
    assert response["headers"]["Retry-After"] == "1"
    assert response["body"] == {
        "title": "Conflict",
        "status": 409,
        "detail": "The first request with this Idempotency-Key is in progress.",
    }
    assert register(customer, KEY) == first
    assert len(queued()) == 1


@pytest.mark.parametrize("idempotency_key", [None, KEY], ids=["no key", "a key"])
@pytest.mark.parametrize("error", [LOST, DENIED], ids=repr)
def test_queue_failure_is_a_503_to_retry(  # noqa: PLR0913, PLR0917 - the world of a request
    error: Exception,
    idempotency_key: str | None,
    register: Register,
    queued: Queued,
    functions: Functions,
    runtime: Runtime,
) -> None:
    customer = a_customer()

    with failing(functions[FUNCTION].sqs, "SendMessage", error):
        response = register(customer, idempotency_key)

    assert (response["statusCode"], response["headers"]["Retry-After"], response["body"]) == (503, "5", TRY_AGAIN)
    assert [(line["level"], line["message"]) for line in runtime.log] == [
        ("ERROR", "Registration not accepted"),
        ("INFO", "Registration refused"),
    ]
    assert runtime.log[0]["exception_name"] == type(error).__name__
    assert runtime.log[0]["customer_id"] == runtime.log[1]["customer_id"]
    assert queued() == []
    assert register(customer, idempotency_key)["statusCode"] == 202


def test_lost_answer_makes_no_second_customer(register: Register, queued: Queued, functions: Functions) -> None:
    customer = a_customer()
    with losing_the_answer(functions[FUNCTION].sqs, "SendMessage", LOST):
        assert register(customer, KEY)["body"] == TRY_AGAIN

    accepted = register(customer, KEY)

    assert [message["customerId"] for _, message in queued()] == [accepted["body"]["customerId"]] * 2


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "UpdateItem"])
def test_lost_record_makes_no_second_customer(
    operation: str, register: Register, queued: Queued, idempotency_table: Table, functions: Functions
) -> None:
    customer = a_customer()

    with failing(functions[FUNCTION].records.client, operation, LOST):
        assert register(customer, KEY)["body"] == TRY_AGAIN
    idempotency_table.forget()  # as a lock expires

    accepted = register(customer, KEY)
    assert {message["customerId"] for _, message in queued()} == {accepted["body"]["customerId"]}


@pytest.mark.usefixtures("queued")
def test_record_holds_nothing_personal(register: Register, idempotency_table: Table) -> None:
    customer = a_customer(phone="+44 20 7946 0958")
    register(customer, KEY)

    ((_, record),) = idempotency_table.items.items()

    assert record["status"] == {"S": "COMPLETED"}
    assert [value for value in customer.values() if value in json.dumps(record)] == []
