"""The rules for the definitions. A rule is a function that yields what breaks it."""

from collections.abc import Callable, Iterator

from tests.wiring.definition import Machine

Rule = Callable[[Machine], Iterator[str]]
RULES: list[Rule] = []
# What the erasure need not keep, by name.
OF_THE_ONBOARDING = {
    "each_business_error_is_retried_or_caught_by_its_name",
    "each_event_is_published_once",
    "each_path_publishes_first_and_last",
}


def rule(function: Rule) -> Rule:
    """Add a rule. Its name is a sentence that holds for the definition."""
    RULES.append(function)
    return function
