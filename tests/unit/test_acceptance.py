"""The customerId of a registration."""

from __future__ import annotations

from onboarding.domain.models import CustomerData
from onboarding.domain.registration import customer_id_for

ADA = CustomerData(first_name="Ada", last_name="Lovelace", email="ada@example.com")


def test_a_key_keeps_its_customer_id_from_release_to_release() -> None:
    assert customer_id_for(ADA, "key") == "691dbe4a-f4f1-576f-ae09-cb1154a693d0"


def test_key_and_customer_make_the_customer_id() -> None:
    grace = ADA.model_copy(update={"first_name": "Grace"})

    assert len({customer_id_for(ADA, "key"), customer_id_for(grace, "key"), customer_id_for(ADA, "another key")}) == 3


def test_without_a_key_each_registration_gets_a_customer_id_of_its_own() -> None:
    assert customer_id_for(ADA, None) != customer_id_for(ADA, None)
