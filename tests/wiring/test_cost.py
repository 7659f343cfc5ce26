"""The cost page prices each path through the definition."""

import pytest

from cli.documents import cost
from tests.wiring import report
from tests.wiring.definition import path, rendered
from tests.wiring.walk import walks

pytestmark = pytest.mark.xdist_group("walks")  # as in test_definition.py


def test_each_path_is_priced() -> None:
    report.none_of(f"{path()}: {problem}" for walk in walks(rendered()) for problem in walk.problems)
    ends = [end for walk in walks(rendered()) for end in walk.ends if not end.meets_an_erasure]
    walked = {without_the_wait(end.path) for end in ends}
    priced = {without_the_wait(tuple(way.path(rendered()))) for way in cost.WAYS}

    report.none_of(f"cli/documents/cost.py: WAYS lacks {' > '.join(way)}" for way in walked - priced)
    report.none_of(f"cli/documents/cost.py: no path is {' > '.join(way)}, which WAYS has" for way in priced - walked)


def test_onboarding_takes_at_most_11_transitions() -> None:
    bills = {way.name: cost.bill(way, rendered()) for way in cost.WAYS}
    transitions = bills["onboarded"]["transitions"]

    assert transitions <= 11, f"{path()}: an onboarding takes {transitions:.0f} transitions, each for $25 a million"
    assert bills["onboarded, address confirmed"]["transitions"] <= transitions + 3


def without_the_wait(states: tuple[str, ...]) -> tuple[str, ...]:
    """The path as if the customer had not been asked to confirm: what comes before and after is priced as without."""
    first, last = states.index("CreateAccount") if "CreateAccount" in states else 0, len(states)
    again = states.index("CreateAccount", first + 1, last) if states.count("CreateAccount") > 1 else first
    return (*states[:first], *states[again:])
