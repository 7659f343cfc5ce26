"""The customer's data, and what all messages have in common: JSON in camelCase.

Unknown fields are ignored, so that a function accepts what the next or the previous release sends. Only the API
refuses them: there, an unknown field is a typing error. An error never shows its input, which may be personal.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

# Directional formatting can reorder the text around a name, so it is refused like a control character. The marks that
# Arabic, Hebrew and Persian spelling needs (ZWNJ, LRM, RLM, ALM) are not among these.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_DIRECTIONAL_FORMATTING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# SQS accepts XML's characters only, and refuses a message with one of these.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_NONCHARACTERS = frozenset("\ufffe\uffff")

# Character classes that Python and ECMA-262 read alike, for _one_line and for the API's published schema: characters
# that no text may contain, and invisible ones (white space, and those that are ignorable by default:
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point).
_FORBIDDEN = r"\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069\uFFFD-\uFFFF"
_INVISIBLE = (
    r"\u0020\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F\u202F\u205F-\u206F"
    r"\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8"
)
_VISIBLE = re.compile(f"[^{_FORBIDDEN}{_INVISIBLE}]")
_ONE_LINE_PATTERN = f"^[^{_FORBIDDEN}]*[^{_FORBIDDEN}{_INVISIBLE}][^{_FORBIDDEN}]*$"


def _one_line(value: str) -> str:
    """Refuse a value that isn't one line of text; otherwise leave it as typed."""
    for character in value:
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"} or character in _DIRECTIONAL_FORMATTING:
            raise PydanticCustomError("control_character", "Must not contain control characters or line breaks")
        if character in _NONCHARACTERS:
            raise PydanticCustomError("noncharacter", "Must not contain noncharacters")
        if character == "\N{REPLACEMENT CHARACTER}":  # what API Gateway puts where the bytes were no UTF-8
            raise PydanticCustomError("invalid_utf8", "Must be valid UTF-8")
    if not _VISIBLE.search(value):
        raise PydanticCustomError("blank", "Must not be blank")
    return value


_ONE_LINE = AfterValidator(_one_line)
# How a published schema marks a customer's personal data.
PERSONAL = "x-personal-data"
_ONE_LINE_SCHEMA: JsonDict = {"pattern": _ONE_LINE_PATTERN, PERSONAL: True}

Name = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]
Line = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]
# 254: the longest path that SMTP forwards, less its angle brackets (RFC 5321, 4.5.3.1.3).
Email = Annotated[str, Field(min_length=1, max_length=254, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]
Phone = Annotated[str, Field(min_length=1, max_length=50, json_schema_extra=_ONE_LINE_SCHEMA), _ONE_LINE]

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


class Address(Message):
    """A postal address as typed. Whether it is complete is checked later, with the other business rules."""

    street: Line | None = None
    city: Name | None = None
    postal_code: Name | None = None
    country: Annotated[Name | None, Field(description="ISO 3166-1 alpha-2, such as DE")] = None


class CustomerData(Message):
    """A customer's data: as typed, or normalised after validation."""

    first_name: Name
    last_name: Name
    email: Email
    phone: Annotated[Phone | None, Field(description="E.164, or national where the address has a country")] = None
    address: Address | None = None
