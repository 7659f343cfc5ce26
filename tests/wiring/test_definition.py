"""Each definition keeps every rule. Most rules are checked by no linter and no emulator."""

import json
import re
from string import ascii_letters, digits, printable
from unittest.mock import patch

import pytest
import yaml

from onboarding.adapters import downstream
from tests.in_process import aws, template
from tests.wiring import definition, report
from tests.wiring.expressions import evaluate
from tests.wiring.rules import errors, publications, retries, saga, tasks  # noqa: F401 - they add their rules
from tests.wiring.rules.registry import OF_THE_ONBOARDING, RULES, Rule
from tests.wiring.walk import walks

# A walk takes seconds, and its worker keeps it.
pytestmark = pytest.mark.xdist_group("walks")

each_definition = pytest.mark.parametrize("name", definition.MACHINES)


@each_definition
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_definition(rule: Rule, name: str) -> None:
    if name == definition.ONBOARDING or rule.__name__ not in OF_THE_ONBOARDING:
        report.none_of(f"{definition.path(name)}: {problem}" for problem in rule(definition.rendered(name)))


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
        assert ends == {"Onboarded", "OnboardedWithoutEmail", "Rejected", "Expired", "Erased"} | failed


def test_parameters_decide_whether_and_how_long_it_waits() -> None:
    with patch.dict(template.CHOSEN, EmailConfirmation="required", EmailConfirmationDays="2"):
        states = definition.rendered()["States"]

    allowed = template.written()["Parameters"]["EmailConfirmationDays"]["AllowedValues"]
    assert int(template.CHOSEN["EmailConfirmationDays"]) == max(allowed)  # the longest path is computed with it
    assert states["CreateAccount"]["Arguments"]["Payload"]["emailConfirmation"] == "required"
    for name, days in (("RequestConfirmation", 2), ("RemindCustomer", 1)):
        assert retries.timeout_of(states[name]) == 24 * 60 * 60
        expires = states[name]["Arguments"]["Payload"]["expiresInSeconds"]
        assert evaluate(expires, {}, {}) == days * 24 * 60 * 60


def test_page_url_cannot_end_its_quotes() -> None:
    """Neither those of JSON, which SAM may make of the definition, nor those of JSONata."""
    pattern = template.written()["Parameters"]["ConfirmationPageUrl"]["AllowedPattern"]
    assign = yaml.safe_load(definition.text())["States"]["PublishCustomerRegistered"]["Assign"]
    allowed = {it for it in printable if re.fullmatch(pattern, f"https://www.example.com/{it}")}

    assert allowed >= {*ascii_letters, *digits, *"/?&=-_.~%+"}
    for character in allowed:
        url = f"https://www.example.com/{character}"
        page = json.loads(json.dumps(assign["page"]).replace("${ConfirmationPageUrl}", url))
        assert evaluate(page, {"input": {}}, {}) == url


@each_definition
def test_each_substitution_is_used(name: str) -> None:
    text, path = definition.text(name), definition.path(name)
    unused = definition.substitutions(name).keys() - set(definition.SUBSTITUTION.findall(text))

    report.none_of(f"template.yaml: DefinitionSubstitutions: {path} has no ${{{each}}}" for each in unused)
    assert "${" not in definition.SUBSTITUTION.sub("", text)
