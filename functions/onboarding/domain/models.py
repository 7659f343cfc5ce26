"""What all messages have in common: JSON in camelCase.

Unknown fields are ignored, so that a function accepts what the next or the previous release sends. Only the API
refuses them: there, an unknown field is a typing error. An error never shows its input, which may be personal.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

# How a published schema marks a customer's personal data.
PERSONAL = "x-personal-data"

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


def sortable(time: datetime) -> str:
    """A time as text of fixed length, so that texts sort as times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
