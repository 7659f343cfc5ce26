"""The business rules, and the normalised form of what passes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onboarding.domain.errors import CustomerInvalid
from onboarding.domain.models import CustomerData
from onboarding.domain.validation import validate
from tests.customers import a_customer
from tests.invocations import sample

LONDON = {"street": "12 St James’s Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}
# Numbers that the regulators keep for fiction, by country.
FICTIONAL_NUMBERS = {
    "GB": ("020 7946 0958", "+442079460958"),
    "US": ("(202) 555-0143", "+12025550143"),
    "DE": ("030/23125-123", "+493023125123"),
    "FR": ("01 99 00 12 34", "+33199001234"),
}


def validated(**changes: Any) -> CustomerData:
    return validate(CustomerData.model_validate(a_customer(**changes)))


def errors(**changes: Any) -> list[tuple[str, str]]:
    """Field and code of each broken rule."""
    with pytest.raises(CustomerInvalid) as raised:
        validated(**changes)
    assert json.loads(str(raised.value)) == raised.value.errors  # which the workflow parses
    return [(error["field"], error["code"]) for error in raised.value.errors]


class LaterCustomer(CustomerData):
    """A customer with a field that no rule knows."""

    nickname: str | None = None


def test_a_field_without_a_rule_passes() -> None:
    customer = LaterCustomer.model_validate(a_customer(nickname="Countess"))

    assert validate(customer) == customer


@pytest.mark.parametrize("name", ["Al", "J R", "李", "Ñu", "김", "عمر", "Ян", "<b>Ada</b>"])
def test_a_first_name_of_two_letters_or_one_ideograph_is_taken(name: str) -> None:
    assert validated(firstName=name).first_name == name


@pytest.mark.parametrize("name", ["A", "J.", "É", "E\u0301", " A ", "1", "12", "--", "み", "👩", "A\u200d", "O’"])
def test_a_first_name_of_fewer_letters_is_refused(name: str) -> None:
    assert errors(firstName=name) == [("firstName", "name_too_short")]


@pytest.mark.parametrize(
    ("typed", "mailed"),
    [
        ("ada@example.com", "ada@example.com"),
        (" ada@example.com ", "ada@example.com"),
        ("Ada.Lovelace+1@EXAMPLE.com", "Ada.Lovelace+1@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
        ("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"),
    ],
)
def test_an_address_is_normalised_to_what_can_be_mailed_to(typed: str, mailed: str) -> None:
    assert validated(email=typed).email == mailed


NO_ADDRESSES = [
    *("ada", "@example.com", "ada..lovelace@example.com", "ädä@example.com", f"{'a' * 65}@example.com"),
    *("Ada <ada@example.com>", "ada@example.com, bob@example.com"),
    *(f"ada@{domain}" for domain in ("localhost", "[192.0.2.1]", "example.test", "sub.example", "corp.internal")),
    *(f"ada@{domain}" for domain in ("a.corp", "a.home", "a.intranet", "a.lan", "a.mail", "a.private")),
]


@pytest.mark.parametrize("email", NO_ADDRESSES)
def test_what_is_no_address_under_a_public_domain_is_refused(email: str) -> None:
    assert errors(email=email) == [("email", "email_invalid")]


@pytest.mark.parametrize(("country", "typed", "normalised"), [(c, *n) for c, n in FICTIONAL_NUMBERS.items()])
def test_a_national_number_means_the_country_of_the_address(country: str, typed: str, normalised: str) -> None:
    assert validated(phone=typed, address=LONDON | {"country": country}).phone == normalised


def test_a_number_in_e164_needs_no_address_and_may_be_of_another_country() -> None:
    assert validated(phone="+1 202-555-0143").phone == "+12025550143"
    assert validated(phone="+1 202-555-0143", address=LONDON).phone == "+12025550143"


@pytest.mark.parametrize(
    "phone",
    ["12", "call me", "+", "+1 123 456 7890", "020 7946 0958", "+44 20 7946 09580000", "+44 20 7946 0958 ext 5"],
)
def test_an_invalid_number_or_a_national_one_without_a_country_is_refused(phone: str) -> None:
    assert errors(phone=phone) == [("phone", "phone_invalid")]


def test_texts_are_stripped_and_the_country_in_upper_case() -> None:
    customer = validated(lastName=" O ", address={field: f" {text} " for field, text in LONDON.items()})

    assert customer.last_name == "O"
    assert customer.model_dump(by_alias=True)["address"] == LONDON
    assert validated(address=LONDON | {"country": "gb"}).address == customer.address


def test_an_address_is_complete() -> None:
    assert errors(address={}) == [(f"address.{field}", "missing") for field in LONDON]


@pytest.mark.parametrize("country", ["XX", "GBR", "UK", "ß"])
def test_a_country_has_its_iso_3166_code(country: str) -> None:
    assert errors(address=LONDON | {"country": country}) == [("address.country", "country_unknown")]


def test_all_broken_rules_are_reported_in_the_order_of_the_fields() -> None:
    customer = sample("validate_customer/every-rule-broken")["customerData"]

    assert errors(**customer) == [
        ("firstName", "name_too_short"),
        ("email", "email_invalid"),
        ("phone", "phone_invalid"),
        ("address.city", "missing"),
        ("address.postalCode", "missing"),
        ("address.country", "country_unknown"),
    ]


SPACES = st.sampled_from(["", " ", "\u3000"])
LINES = st.text(
    alphabet=st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufffd"), min_size=1, max_size=20
)


def padded(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}{}{}".format, SPACES, texts, SPACES)


PASSING = st.sampled_from(sorted(FICTIONAL_NUMBERS)).flatmap(
    lambda country: st.fixed_dictionaries(
        {
            "firstName": padded(st.text(st.characters(categories=["Lu", "Ll"]), min_size=2, max_size=20)),
            "lastName": padded(LINES),
            "email": padded(st.emails()),
            "address": st.fixed_dictionaries(
                dict.fromkeys(("street", "city", "postalCode"), padded(LINES))
                | {"country": padded(st.sampled_from([country, country.lower()]))}
            ),
        },
        optional={"phone": st.sampled_from(FICTIONAL_NUMBERS[country])},
    )
)


@pytest.mark.slow
@given(PASSING)
def test_validating_what_is_validated_changes_nothing(customer: dict[str, Any]) -> None:
    try:
        once = validate(CustomerData.model_validate(customer))
    except CustomerInvalid as invalid:  # a domain that hypothesis made up may be none
        assume({error["field"] for error in invalid.errors} != {"email"})
        raise

    assert validate(once) == once
    assert CustomerData.model_validate_json(once.model_dump_json(by_alias=True)) == once


def test_an_error_says_nothing_that_was_typed() -> None:
    marked = dict.fromkeys(LONDON, "§ada")
    with pytest.raises(CustomerInvalid) as raised:
        validated(**dict.fromkeys(("firstName", "lastName", "email", "phone"), "§1"), address=marked)

    fields = {error["field"] for error in raised.value.errors}
    assert fields == {"firstName", "email", "phone", "address.country"}
    assert "§" not in str(raised.value)
