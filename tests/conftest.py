"""What the tests of the deployed stack share: one emulator with one stack, on one of pytest's workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local import emulator
from local.deploy import Stack, deploy
from tests.definition import FAILING_MACHINE, PUBLICATIONS
from tests.onboardings import Onboardings

ON_THE_STACK = ("tests/stack", "tests/engine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of the stack to one worker, first: it is the longest part, and runs beside all others."""
    for item in items:
        if item.nodeid.startswith(ON_THE_STACK):
            item.add_marker(pytest.mark.xdist_group("stack"))
    items.sort(key=lambda item: not item.nodeid.startswith(ON_THE_STACK))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The template as `sam deploy` deploys it, on an emulator that hurries.

    Retries wait two thousandths of their delays. A message that was taken from the queue by a worker that then could
    not start, which happens where two cores have much to do, comes back after 3 s rather than 3 minutes.
    """
    mocks = tmp_path_factory.mktemp("emulator") / "mocks.json"
    mocks.write_text(json.dumps(_failing_publications()))
    with emulator.start({"SFN_WAIT_SCALE": "0.002", "SFN_MOCK_CONFIG": str(mocks)}) as aws:
        deployed = deploy(aws)
        aws.session.client("sqs").set_queue_attributes(
            QueueUrl=deployed.outputs["RegistrationQueueUrl"], Attributes={"VisibilityTimeout": "3"}
        )
        yield deployed


@pytest.fixture(scope="session")
def onboardings(stack: Stack) -> Iterator[Onboardings]:
    """Registers customers by HTTP and tells what became of them."""
    with httpx.Client(trust_env=False, timeout=30) as http:
        yield Onboardings(stack, http)


def _failing_publications() -> dict[str, Any]:
    """A test case for each publication, `{state}Fails`, in which EventBridge fails for as long as it is tried.

    The emulator's own EventBridge never fails, so Step Functions' mocks stand for it.
    https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-test-sm-exec.html
    """
    failure = {"Throw": {"Error": "EventBridge.FailedEntry", "Cause": "mocked"}}
    return {
        "StateMachines": {
            FAILING_MACHINE: {"TestCases": {f"{name}Fails": {name: "EventBridgeFails"} for name in PUBLICATIONS}}
        },
        "MockedResponses": {"EventBridgeFails": {"0-99": failure}},
    }
