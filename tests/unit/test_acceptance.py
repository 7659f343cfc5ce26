"""A registration's customerId, and its message in the queue."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from onboarding.adapters.registrations import accept
from onboarding.domain.models import CustomerData, CustomerId, Name
from onboarding.domain.registration import RegistrationRequest, customer_id_for
from tests.customers import a_customer

ADA = CustomerData.model_validate(a_customer())
GRACE = CustomerData.model_validate(a_customer(firstName="Grace", lastName="Hopper"))
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
TAKEN_BY_SQS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
NAME = TypeAdapter(Name)


def is_a_name(text: str) -> bool:
    try:
        NAME.validate_python(text)
    except ValidationError:
        return False
    return True


@given(st.text(min_size=1))
def test_the_same_key_and_customer_always_get_the_same_customer_id(key: str) -> None:
    customer_id = customer_id_for(ADA, key)

    assert customer_id_for(ADA.model_copy(), key) == customer_id
    assert customer_id_for(GRACE, key) != customer_id
    assert customer_id_for(ADA, f"{key}x") != customer_id
    assert TypeAdapter(CustomerId).validate_python(customer_id) == customer_id


def test_a_key_keeps_its_customer_id_from_release_to_release() -> None:
    customer = CustomerData(first_name="Ada", last_name="Lovelace", email="ada@example.com")

    assert customer_id_for(customer, "key") == "691dbe4a-f4f1-576f-ae09-cb1154a693d0"


def test_without_a_key_each_registration_gets_a_customer_id_of_its_own() -> None:
    assert customer_id_for(ADA, None) != customer_id_for(ADA, None)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).filter(is_a_name))
def test_sqs_takes_the_message_of_every_customer(name: str) -> None:
    bodies: list[str] = []

    def send_message(*, MessageBody: str, **_: Any) -> dict[str, str]:  # noqa: N803 - SQS's name
        bodies.append(MessageBody)
        return {"MessageId": "message-0"}

    sqs: Any = SimpleNamespace(send_message=send_message)
    customer = ADA.model_copy(update={"first_name": name})

    request = RegistrationRequest(customer=customer, idempotency_key=None)
    accept(request, customer_id="ada", correlation_id="request", sqs=sqs, queue_url="https://sqs.example.com/q")

    assert all(map(TAKEN_BY_SQS.fullmatch, bodies))
    assert len(bodies) == 1
