"""The cost page prices each path through the definition."""

from cli.documents import cost
from tests.wiring import report
from tests.wiring.definition import path, rendered
from tests.wiring.walk import walks


def test_each_path_is_priced() -> None:
    report.none_of(f"{path()}: {problem}" for walk in walks(rendered()) for problem in walk.problems)
    walked = {end.path for walk in walks(rendered()) for end in walk.ends}
    priced = {tuple(way.path(rendered())) for way in cost.WAYS}

    report.none_of(f"cli/documents/cost.py: WAYS lacks {' > '.join(way)}" for way in walked - priced)
    report.none_of(f"cli/documents/cost.py: no path is {' > '.join(way)}, which WAYS has" for way in priced - walked)


def test_onboarding_takes_at_most_11_transitions() -> None:
    transitions = cost.bill(cost.WAYS[0], rendered())["transitions"]

    assert transitions <= 11, f"{path()}: an onboarding takes {transitions:.0f} transitions, each for $25 a million"
