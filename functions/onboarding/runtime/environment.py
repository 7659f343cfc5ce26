"""A function's settings, from its environment variables."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of a function's settings: each field is the variable of that name in upper case, never empty."""

    model_config = ConfigDict(alias_generator=str.upper, frozen=True, str_min_length=1, hide_input_in_errors=True)

    @classmethod
    def read(cls) -> Self:
        """Read the environment; `pydantic.ValidationError` names each variable that is missing or malformed."""
        return cls.model_validate(dict(os.environ))


class MailSettings(Settings):
    """Base of the settings of a function that mails customers."""

    sender_email: str
    configuration_set: str
    company_name: str
    account_url: str
