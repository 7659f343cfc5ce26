"""A function's settings: the variables of its environment, in a model."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of a function's settings; each field is the variable of that name in upper case. None may be empty."""

    model_config = ConfigDict(alias_generator=str.upper, frozen=True, str_min_length=1, hide_input_in_errors=True)

    @classmethod
    def read(cls) -> Self:
        """Read the environment; raises `pydantic.ValidationError`, which names each variable missing or malformed."""
        return cls.model_validate(dict(os.environ))
