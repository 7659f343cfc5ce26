"""The definition keeps every rule; most of them no linter and no emulator checks."""

from unittest.mock import patch

import pytest

from onboarding.adapters import downstream
from tests.in_process import aws, template
from tests.wiring import definition, report
from tests.wiring.rules import errors, publications, retries, saga, tasks  # noqa: F401 - they add their rules
from tests.wiring.rules.registry import RULES, Rule
from tests.wiring.walk import walks


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_definition(rule: Rule) -> None:
    report.none_of(f"{definition.path()}: {problem}" for problem in rule(definition.rendered()))


def test_each_kind_of_downstream_system_is_walked() -> None:
    assert {it["kind"] for it in aws.SYSTEMS.values()} == downstream.kinds(), "tests/in_process/aws.py: SYSTEMS"


@pytest.mark.parametrize("systems", ["", "crm"])
def test_fewer_downstream_systems_work_too(systems: str) -> None:
    with patch.dict(template.CHOSEN, DownstreamSystems=systems):
        machine = definition.rendered()

    for walk in walks(machine):
        report.none_of(f"{definition.path()}: {problem}" for problem in walk.problems)
        ends = {end.path[-1] for end in walk.ends}
        failed = {"DownstreamFailed"} if systems else set()
        assert ends == {"Onboarded", "OnboardedWithoutEmail", "Rejected"} | failed


def test_each_substitution_is_used() -> None:
    unused = definition.substitutions().keys() - set(definition.SUBSTITUTION.findall(definition.text()))

    report.none_of(f"template.yaml: DefinitionSubstitutions: {definition.path()} has no ${{{name}}}" for name in unused)
    assert "${" not in definition.SUBSTITUTION.sub("", definition.text())
