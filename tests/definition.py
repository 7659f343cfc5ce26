"""The states of the definition that the tests walk through."""

from __future__ import annotations

from typing import Any

import yaml

from local import PROJECT

STATES: dict[str, dict[str, Any]] = yaml.safe_load(
    (PROJECT / "statemachine" / "customer_onboarding.asl.yaml").read_text(encoding="utf-8")
)["States"]
TASKS = [name for name, state in STATES.items() if "lambda:invoke" in state.get("Resource", "")]
PUBLICATIONS = [name for name, state in STATES.items() if "events:putEvents" in state.get("Resource", "")]

# The copy of the deployed machine whose functions fail on demand.
FAILING_MACHINE = "customer-onboarding-failing"
