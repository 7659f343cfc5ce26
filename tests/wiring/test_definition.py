"""The definition keeps to every rule, most of which no linter and no emulator looks at."""

import pytest

from tests.wiring.definition import rendered
from tests.wiring.rules.everything import RULES
from tests.wiring.rules.registry import Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_in_the_definition(rule: Rule) -> None:
    assert list(rule(rendered())) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_in_a_definition_with_a_map_and_a_choice(rule: Rule) -> None:
    definition = rendered()
    definition["States"] |= {
        "CreateAccount": definition["States"]["CreateAccount"] | {"Next": "Provision"},
        "Provision": {
            "Comment": "Worst case 0 s.",
            "Type": "Map",
            "Items": "{% [$customerId, $accountId] %}",
            "ItemProcessor": {
                "StartAt": "Note",
                "States": {
                    "Note": {
                        "Type": "Pass",
                        "Output": {
                            "system": "{% $states.input %}",
                            "status": "{% $exists($accountId) ? 'MADE' : 'NOT' %}",
                        },
                        "End": True,
                    }
                },
            },
            "Assign": {"refused": "{% [$states.result[status != 'MADE'].system] %}"},
            "Next": "AllProvisioned",
        },
        "AllProvisioned": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $count($refused) = 0 %}", "Next": "PublishCustomerAccountCreated"}],
            "Default": "PublishCustomerAccountCreationFailed",
        },
    }

    assert list(rule(definition)) == []
