"""The rules of fraud detection, each by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from onboarding.domain.fraud import PUBLIC_PROVIDERS, RULES, Burst, Finding
from onboarding.domain.models import CustomerData
from tests.customers import a_customer

LONDON = {"street": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}


def finding(rule: str, **customer: Any) -> Finding:
    return RULES[rule].find(CustomerData.model_validate(a_customer(**customer)))


def burst(rule: str, **customer: Any) -> Burst:
    found = finding(rule, **customer)
    assert isinstance(found, Burst)
    return found


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_has_a_weight_and_a_message_and_finds_nothing_in_a_plain_customer(rule: Any) -> None:
    assert 0 < rule.weight <= 100
    assert rule.message[0].isupper()
    assert rule.find(CustomerData.model_validate(a_customer(email="ada.lovelace@gmail.com"))) is False


def test_a_disposable_domain_is_found_and_those_under_it() -> None:
    domains = ("MAILINATOR.com", "eu.mailinator.com", "mailinator.com.example.org", "a-mailinator.com")

    found = [domain for domain in domains if finding("disposable_email_domain", email=f"ada@{domain}")]

    assert found == ["MAILINATOR.com", "eu.mailinator.com"]


def test_no_public_provider_is_disposable() -> None:
    assert [it for it in PUBLIC_PROVIDERS if finding("disposable_email_domain", email=f"ada@{it}")] == []


def test_a_phone_number_is_counted_for_a_day() -> None:
    assert burst("phone_burst", phone="+442079460958") == Burst("+442079460958", 3, timedelta(days=1))


def test_a_postal_address_is_counted_however_it_is_spaced_and_cased() -> None:
    one = burst("postal_address_burst", address=LONDON)

    assert one == burst(
        "postal_address_burst", address=LONDON | {"street": " 12  ST JAMES'S Square", "city": "london "}
    )
    assert one != burst("postal_address_burst", address=LONDON | {"street": "13 St James's Square"})


def test_a_mail_domain_is_counted_unless_everybody_may_have_it() -> None:
    assert burst("mail_domain_burst", email="ada@Example.com") == Burst("example.com", 10, timedelta(hours=1))
    assert finding("mail_domain_burst", email="ada@gmail.com") is False


@pytest.mark.parametrize(
    ("name", "mailboxes"),
    [
        ("Ada Lovelace", ["ada1815", "a.lovelace+shop", "al", "la", "info"]),
        ("Jürgen Müller", ["mueller77", "muller77"]),
        ("Zoë Łukasik", ["lukasik"]),
        ("Anne-Marie O'Neill", ["oneill", "marie"]),
        ("فاطمة الفهري", ["xk29q"]),
    ],
)
def test_mailbox_may_be_of_the_name(name: str, mailboxes: list[str]) -> None:
    first, last = name.split()
    emails = [f"{mailbox}@example.com" for mailbox in mailboxes]

    assert [it for it in emails if finding("mail_unlike_name", firstName=first, lastName=last, email=it)] == []


@pytest.mark.parametrize("local", ["xk29q", "grace.hopper", "12345", "bulk+ada"])
def test_an_address_with_nothing_of_the_name_is_at_odds_with_it(local: str) -> None:
    assert finding("mail_unlike_name", email=f"{local}@example.com") is True
