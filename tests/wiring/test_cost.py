"""The definition takes no more states than docs/cost.md says."""

from __future__ import annotations

import pytest

from benchmarks.cost.kinds import KINDS, ONBOARDED, Kind
from benchmarks.cost.measurement import load
from tests.wiring.definition import rendered
from tests.wiring.walk import walks

MOST_TRANSITIONS = 12
MEASUREMENT = load()
# The states of the machine itself: a Map counts once, as where it has no items.
PATHS = {end.path for walk in walks(rendered()) for end in walk.ends}


def test_onboarding_takes_at_most_twelve_transitions_without_downstream_systems() -> None:
    onboarded = [path for path in PATHS if path[-1] == "Onboarded"]

    assert onboarded
    assert all(len(path) <= MOST_TRANSITIONS for path in onboarded)
    assert {len(path) for path in onboarded} == {sum(MEASUREMENT.of(ONBOARDED.name).transitions.values())}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_each_kind_that_was_counted_is_a_way_through_the_definition(kind: Kind) -> None:
    assert tuple(MEASUREMENT.of(kind.name).transitions) in PATHS, "run `make cost docs`"
