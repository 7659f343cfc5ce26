"""How an execution ends, and what its output says."""

from collections.abc import Iterator
from typing import Literal

from pydantic import ValidationError

from onboarding.domain.models import CustomerId, Message
from tests.wiring.definition import Machine, states
from tests.wiring.rules.registry import rule
from tests.wiring.walk import walks


class Onboarded(Message):
    """The outputs of an execution are these three (docs/design.md, Messages), each at the end of its name."""

    customer_id: CustomerId
    status: Literal["ONBOARDED"]
    account_id: str


class OnboardedWithoutEmail(Message):
    customer_id: CustomerId
    status: Literal["ONBOARDED_WITHOUT_EMAIL"]
    account_id: str
    reason: Literal["UNDELIVERABLE"]


class Rejected(Message):
    customer_id: CustomerId
    status: Literal["REJECTED"]
    reason: Literal["INVALID", "EMAIL_TAKEN"]


OUTPUTS = {model.__name__: model for model in (Onboarded, OnboardedWithoutEmail, Rejected)}


@rule
def each_output_says_what_became_of_the_customer(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        for end in walk.ends:
            if end.path[-1] in OUTPUTS:
                try:
                    output = OUTPUTS[end.path[-1]].model_validate(end.output, extra="forbid", by_name=False)
                except ValidationError as error:
                    yield f"{' > '.join(end.path)}: {error}"
                else:
                    if output.customer_id != walk.registration.customer_id:
                        yield f"{' > '.join(end.path)}: another customer"
            elif end.state["Type"] != "Fail":
                yield f"{' > '.join(end.path)} is a success that nobody knows"


@rule
def the_output_stands_on_the_last_task(machine: Machine) -> Iterator[str]:
    # Engines differ in whether they take an Output of Succeed, and of a Choice's default.
    for name, state in states(machine, "Succeed", "Choice"):
        if "Output" in state:
            yield f"{name} has an Output"


@rule
def each_failure_says_why(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Fail"):
        if not isinstance(state.get("Cause"), str) or not isinstance(state.get("Error"), str):
            yield f"{name} has no Error or no Cause"
