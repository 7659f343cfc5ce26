"""The deployed API, fuzzed from its OpenAPI document."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import missing_required_header, unsupported_method

from cli import PROJECT
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings

pytest_plugins = ["schemathesis.pytest.plugin"]  # here alone: it takes long to import

DOCUMENT = json.loads((PROJECT / "docs" / "openapi.json").read_text(encoding="utf-8"))
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module", autouse=True)
def resting_workflow(onboardings: Onboardings) -> Iterator[None]:
    """Onboard nobody: what is accepted here stays in the queue, and is deleted."""
    functions, sqs = onboardings.stack.session.client("lambda"), onboardings.stack.session.client("sqs")
    mapping = onboardings.physical_id("StartOnboardingFunctionRegistrations")
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    yield
    sqs.purge_queue(QueueUrl=onboardings.physical_id("RegistrationQueue"))
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)


@schema.parametrize()
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_api_does_what_its_document_says(case: Case[Any], onboardings: Onboardings) -> None:
    """Valid registrations are accepted, others refused as documented; no answer is a server error."""
    sound = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if sound and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = uuid4().hex  # a key that comes again would be refused, rightly

    case.call_and_validate(
        base_url=onboardings.stack.api_url,
        # API Gateway answers 404, not 405, where a path has no such method, and not 401, where a signature is missing.
        excluded_checks=[unsupported_method, missing_required_header],
        timeout=PATIENCE_SECONDS,
    )
