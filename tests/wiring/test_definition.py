"""The definition keeps to every rule, most of which no linter and no emulator looks at."""

from unittest.mock import patch

import pytest

from tests.wiring import template
from tests.wiring.definition import rendered
from tests.wiring.rules.everything import RULES
from tests.wiring.rules.registry import Rule
from tests.wiring.walk import walks


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_in_the_definition(rule: Rule) -> None:
    assert list(rule(rendered())) == []


def test_without_downstream_systems_every_account_is_provisioned_at_once() -> None:
    with patch.dict(template.CHOSEN, {"DownstreamSystems": ""}):
        definition = rendered()

    for walk in walks(definition):
        assert walk.problems == []
        assert {end.path[-1] for end in walk.ends} == {"Onboarded", "OnboardedWithoutEmail", "Rejected"}
        assert {visit.function for visit in walk.visits} & {"provision_account", "deprovision_account"} == set()
        assert [end.path for end in walk.ends if "DecideOnProvisioning" in end.path]
