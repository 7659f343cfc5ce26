"""The rules that the definition keeps. A rule is a function that yields what breaks it."""

from collections.abc import Callable, Iterator

from tests.wiring.definition import Machine

Rule = Callable[[Machine], Iterator[str]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Add a rule. Its name is the sentence that is true of the definition."""
    RULES.append(function)
    return function
