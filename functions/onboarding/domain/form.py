"""The registration form: what the API takes, and the customer that it makes of it.

A text stays as typed, without what keyboards and clipboards add around it.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.config import JsonDict

from onboarding.domain.countries import CITY_OPTIONAL, POSTAL_CODE_REQUIRED
from onboarding.domain.models import PERSONAL, CustomerData, Message
from onboarding.domain.text import (
    TYPED,
    TYPED_COUNTRY,
    TYPED_EMAIL,
    TYPED_LOCALE,
    TYPED_OR_EMPTY,
    TYPED_PHONE,
    typed,
    typed_country,
    typed_email,
    typed_locale,
    typed_or_absent,
    typed_phone,
)

_TYPED: JsonDict = {"pattern": TYPED, PERSONAL: True}
_TYPED_OR_EMPTY: JsonDict = {"pattern": TYPED_OR_EMPTY, PERSONAL: True}
_EMAIL: JsonDict = {"pattern": TYPED_EMAIL, PERSONAL: True}
_COUNTRY: JsonDict = {"pattern": TYPED_COUNTRY, PERSONAL: True}
_LOCALE: JsonDict = {"pattern": TYPED_LOCALE, PERSONAL: True}
_PHONE: JsonDict = {"pattern": TYPED_PHONE, PERSONAL: True}

_NO_LINK = "No web address"

# Each is at most as long as its field in `CustomerData`.
Name = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=_TYPED), AfterValidator(typed)]
Email = Annotated[str, Field(min_length=1, max_length=254, json_schema_extra=_EMAIL), AfterValidator(typed_email)]
OptionalName = Annotated[
    Annotated[str, Field(max_length=100, json_schema_extra=_TYPED_OR_EMPTY)] | None, AfterValidator(typed_or_absent)
]
OptionalLine = Annotated[
    Annotated[str, Field(max_length=200, json_schema_extra=_TYPED_OR_EMPTY)] | None, AfterValidator(typed_or_absent)
]
OptionalPhone = Annotated[
    Annotated[str, Field(max_length=50, json_schema_extra=_PHONE)] | None, AfterValidator(typed_phone)
]
OptionalCountry = Annotated[
    Annotated[str, Field(max_length=100, json_schema_extra=_COUNTRY)] | None, AfterValidator(typed_country)
]
OptionalLocale = Annotated[
    Annotated[str, Field(max_length=35, json_schema_extra=_LOCALE)] | None, AfterValidator(typed_locale)
]


def _codes(countries: frozenset[str]) -> str:
    return " ".join(sorted(countries))


class AddressForm(Message):
    """A postal address. One whose fields are all empty is as good as none."""

    street: Annotated[OptionalLine, Field(description="Required in an address")] = None
    city: Annotated[OptionalName, Field(description=f"Required in an address, except in {_codes(CITY_OPTIONAL)}")] = (
        None
    )
    region: Annotated[OptionalName, Field(description="State, province or prefecture")] = None
    postal_code: Annotated[
        OptionalName, Field(description=f"Required in an address in {_codes(POSTAL_CODE_REQUIRED)}")
    ] = None
    country: Annotated[
        OptionalCountry,
        Field(description="Required in an address: its ISO 3166-1 alpha-2 code, such as DE, in either case"),
    ] = None


def _none_if_empty(value: object) -> object:
    """No-code tools send an empty text for no address, and PHP an empty array."""
    return None if value in ("", []) else value


def _may_be_empty(schema: dict[str, Any]) -> None:
    schema["anyOf"] += [{"type": "string", "maxLength": 0}, {"type": "array", "maxItems": 0}]


class RegistrationForm(Message):
    """A customer who wants to register. An optional field that is empty is as good as absent."""

    first_name: Annotated[
        Name,
        Field(description=f"Two letters, one ideograph or one Hangul syllable; a vowel sign is a letter. {_NO_LINK}"),
    ]
    last_name: Annotated[OptionalName, Field(description=f"Absent if the person has one name. {_NO_LINK}")] = None
    email: Annotated[
        Email,
        Field(
            description="ASCII before the @, a public domain after it. Misspelt domains, such as gmial.com or any "
            "under .con, are refused with what was probably meant"
        ),
    ]
    phone: Annotated[
        OptionalPhone,
        Field(
            description="One number of digits in E.164 (+ or 00 first), or national, with its trunk prefix, where the "
            "address has a country. Between digits: spaces, dots, hyphens, parentheses; a slash only after the first "
            "group. No letters, not even of a vanity number, and no extension"
        ),
    ] = None
    address: Annotated[AddressForm | None, BeforeValidator(_none_if_empty), Field(json_schema_extra=_may_be_empty)] = (
        None
    )
    locale: Annotated[
        OptionalLocale,
        Field(description="The customer's language, such as de-AT; by default the one of Accept-Language"),
    ] = None

    def customer(self) -> CustomerData:
        """The customer's data as it goes into the events."""
        given = self.model_dump(exclude_none=True)
        if self.last_name is None:
            given |= {"last_name": self.first_name, "full_name": self.first_name}
        return CustomerData.model_validate({name: value for name, value in given.items() if value != {}})
