"""A customer's data: the registration form that the API takes, and what the events and the tables have of it.

A field is in both: in the form with what may be typed, in `CustomerData` with what is published. A text stays as typed,
without what keyboards and clipboards add around it.
"""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints
from pydantic.config import JsonDict

from onboarding.domain.countries import CITY_OPTIONAL, POSTAL_CODE_REQUIRED
from onboarding.domain.models import PERSONAL, Message
from onboarding.domain.text import (
    ONE_LINE,
    TYPED,
    TYPED_COUNTRY,
    TYPED_EMAIL,
    TYPED_LOCALE,
    TYPED_OR_EMPTY,
    TYPED_PHONE,
    one_line,
    typed,
    typed_country,
    typed_email,
    typed_locale,
    typed_or_absent,
    typed_phone,
)

# As published.

_ONE_LINE = AfterValidator(one_line)
_ONE_LINE_SCHEMA: JsonDict = {"pattern": ONE_LINE, PERSONAL: True}

Name = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]
Line = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]
# 254: the longest path that SMTP forwards, less its angle brackets (RFC 5321, 4.5.3.1.3).
Email = Annotated[str, Field(min_length=1, max_length=254, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]
Phone = Annotated[str, Field(min_length=1, max_length=50, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]

# https://www.rfc-editor.org/rfc/rfc5646, apart from private and grandfathered tags.
Locale = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[0-9A-Za-z]{1,8})*$", max_length=35),
    Field(json_schema_extra={PERSONAL: True}),
]

# As typed. Each is at most as long as what is published of it.

_TYPED: JsonDict = {"pattern": TYPED, PERSONAL: True}
_TYPED_OR_EMPTY: JsonDict = {"pattern": TYPED_OR_EMPTY, PERSONAL: True}
_EMAIL: JsonDict = {"pattern": TYPED_EMAIL, PERSONAL: True}
_COUNTRY: JsonDict = {"pattern": TYPED_COUNTRY, PERSONAL: True}
_LOCALE: JsonDict = {"pattern": TYPED_LOCALE, PERSONAL: True}
_PHONE: JsonDict = {"pattern": TYPED_PHONE, PERSONAL: True}

TypedName = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=_TYPED), AfterValidator(typed)]
TypedEmail = Annotated[str, Field(min_length=1, max_length=254, json_schema_extra=_EMAIL), AfterValidator(typed_email)]
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


# Leaves a later field out where it isn't set. The digest of a registration, by which a repeated Idempotency-Key is
# checked, is then the one that 1.0 recorded.
LATER = Field(exclude_if=lambda value: value is None)


class Address(Message):
    """A postal address as typed. Whether it is complete is checked later, with the other business rules."""

    street: Line | None = None
    city: Name | None = None
    region: Annotated[Name | None, Field(description="State, province or prefecture"), LATER] = None
    postal_code: Name | None = None
    country: Annotated[Name | None, Field(description="ISO 3166-1 alpha-2, such as DE")] = None


class CustomerData(Message):
    """A customer's data: as typed, or normalised after validation."""

    # The version of the events that carry it. Once that is released, a new field needs the next minor version.
    VERSION: ClassVar[str] = "1.1"

    first_name: Name
    last_name: Name
    full_name: Annotated[
        Name | None,
        Field(description="The name of a person who has only one; firstName and lastName are then the same"),
        LATER,
    ] = None
    email: Email
    phone: Annotated[Phone | None, Field(description="E.164, or national where the address has a country")] = None
    phone_unrecognized: Annotated[
        Annotated[bool, Strict()] | None,
        Field(description="The phone number has a possible length, and is in no range known to be assigned"),
        LATER,
    ] = None
    address: Address | None = None
    locale: Annotated[Locale | None, Field(description="The customer's language, such as de-AT"), LATER] = None

    @property
    def is_simulated(self) -> bool:
        """Whether the address is one of SES's mailbox simulator: nobody reads it, so a check of the stack uses it.

        https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
        """
        return self.email.lower().endswith("@simulator.amazonses.com")


# Each field of `CustomerData` is in one of these: what downstream systems get too, and what stays here.
SENT_DOWNSTREAM = frozenset(
    {"first_name", "last_name", "full_name", "email", "phone", "phone_unrecognized", "address", "locale"}
)
KEPT_HERE: frozenset[str] = frozenset()


def _codes(countries: frozenset[str]) -> str:
    return " ".join(sorted(countries))


class AddressForm(Message):
    """A postal address. One whose fields are all empty is as good as none."""

    street: Annotated[OptionalLine, Field(description="Required in an address", examples=["12 St James's Square"])] = (
        None
    )
    city: Annotated[
        OptionalName,
        Field(description=f"Required in an address, except in {_codes(CITY_OPTIONAL)}", examples=["London"]),
    ] = None
    region: Annotated[OptionalName, Field(description="State, province or prefecture", examples=["Greater London"])] = (
        None
    )
    postal_code: Annotated[
        OptionalName,
        Field(description=f"Required in an address in {_codes(POSTAL_CODE_REQUIRED)}", examples=["SW1Y 4JH"]),
    ] = None
    country: Annotated[
        OptionalCountry,
        Field(
            description="Required in an address: its ISO 3166-1 alpha-2 code, such as DE, in either case; "
            "UK counts as GB, EL as GR",
            examples=["GB"],
        ),
    ] = None


def _none_if_empty(value: object) -> object:
    """No-code tools send an empty text for no address, and PHP an empty array."""
    return None if value in ("", []) else value


def _may_be_empty(schema: dict[str, Any]) -> None:
    schema["anyOf"] += [{"type": "string", "maxLength": 0}, {"type": "array", "maxItems": 0}]


_NO_LINK = "No web address"


class RegistrationForm(Message):
    """A customer who wants to register. An optional field that is empty is as good as absent."""

    first_name: Annotated[
        TypedName,
        Field(
            description=f"Two letters, one ideograph or one Hangul syllable; a vowel sign is a letter. {_NO_LINK}",
            examples=["Ada"],
        ),
    ]
    last_name: Annotated[
        OptionalName, Field(description=f"Absent if the person has one name. {_NO_LINK}", examples=["Lovelace"])
    ] = None
    email: Annotated[
        TypedEmail,
        Field(
            description="ASCII before the @, a public domain after it. Misspelt domains, such as gmial.com or any "
            "under .con, are refused with what was probably meant",
            examples=["ada@example.com"],
        ),
    ]
    phone: Annotated[
        OptionalPhone,
        Field(
            description="One number of digits in E.164 (+ or 00 first), or national, with its trunk prefix, where the "
            "address has a country. Between digits: spaces, dots, hyphens, parentheses; a slash only after the first "
            "group. No letters, not even of a vanity number, and no extension",
            examples=["020 7946 0958"],
        ),
    ] = None
    address: Annotated[AddressForm | None, BeforeValidator(_none_if_empty), Field(json_schema_extra=_may_be_empty)] = (
        None
    )
    locale: Annotated[
        OptionalLocale,
        Field(
            description="The customer's language, such as de-AT; by default the one of Accept-Language",
            examples=["en-GB"],
        ),
    ] = None

    def customer(self) -> CustomerData:
        """The customer's data as it goes into the events."""
        given = self.model_dump(exclude_none=True)
        if self.last_name is None:
            given |= {"last_name": self.first_name, "full_name": self.first_name}
        return CustomerData.model_validate({name: value for name, value in given.items() if value != {}})
