"""`make cost` prices each path through the definition."""

import pytest

from benchmarks import cost
from tests.wiring import report
from tests.wiring.definition import path, rendered
from tests.wiring.walk import walks


def test_each_path_is_priced() -> None:
    report.none_of(f"{path()}: {problem}" for walk in walks(rendered()) for problem in walk.problems)
    walked = {end.path for walk in walks(rendered()) for end in walk.ends}
    priced = {tuple(way.path(rendered())) for way in cost.WAYS}

    report.none_of(f"benchmarks/cost.py: WAYS lacks {' > '.join(way)}" for way in walked - priced)
    report.none_of(f"benchmarks/cost.py: no path is {' > '.join(way)}, which WAYS has" for way in priced - walked)


def test_onboarding_takes_at_most_11_transitions() -> None:
    assert cost.bill(cost.WAYS[0], rendered())["transitions"] <= 11


def test_table_has_a_line_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main()

    printed = capsys.readouterr().out
    assert all(f"\n{way.name} " in printed for way in cost.WAYS)
