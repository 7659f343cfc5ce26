"""What the API takes and answers when a customer confirms the e-mail address."""

from typing import Annotated

from pydantic import Field

from onboarding.domain.models import Message


class Code(Message):
    """The code from the e-mail, in upper or lower case."""

    code: Annotated[str, Field(min_length=1, max_length=100, examples=["MFRGGZDFMZTWQ2LKNNWG23TP"])]


class Resent(Message):
    """The answer to each request for another e-mail, so that it says nothing of the customer."""

    message: str = "If this registration waits for a confirmation, an e-mail is on its way, a few times a day at most."
