"""The customer's data, and what all messages have in common: JSON in camelCase.

Unknown fields are ignored, so that a function accepts what the next or the previous release sends. Only the API
refuses them: there, an unknown field is a typing error. An error never shows its input, which may be personal.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from onboarding.domain.text import ONE_LINE, one_line

_ONE_LINE = AfterValidator(one_line)
# How a published schema marks a customer's personal data.
PERSONAL = "x-personal-data"
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

# The customerId names the execution; Step Functions accepts these characters in all its features.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
CustomerId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,80}$")]


class Message(BaseModel):
    """Base of all messages: camelCase in JSON, snake_case in Python, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        hide_input_in_errors=True,
    )


def _absent(value: object) -> bool:
    """Leave a later field out where it isn't set.

    The digest of a registration, by which a repeated Idempotency-Key is checked, is then the one that 1.0 recorded.
    """
    return value is None


class Address(Message):
    """A postal address as typed. Whether it is complete is checked later, with the other business rules."""

    street: Line | None = None
    city: Name | None = None
    region: Annotated[Name | None, Field(description="State, province or prefecture", exclude_if=_absent)] = None
    postal_code: Name | None = None
    country: Annotated[Name | None, Field(description="ISO 3166-1 alpha-2, such as DE")] = None


class CustomerData(Message):
    """A customer's data: as typed, or normalised after validation."""

    first_name: Name
    last_name: Name
    full_name: Annotated[
        Name | None,
        Field(
            description="The name of a person who has only one; firstName and lastName are then the same",
            exclude_if=_absent,
        ),
    ] = None
    email: Email
    phone: Annotated[Phone | None, Field(description="E.164, or national where the address has a country")] = None
    phone_unrecognized: Annotated[
        bool | None,
        Field(
            description="The phone number has a possible length, and is in no range known to be assigned",
            exclude_if=_absent,
        ),
    ] = None
    address: Address | None = None
    locale: Annotated[
        Locale | None, Field(description="The customer's language, such as de-AT", exclude_if=_absent)
    ] = None
