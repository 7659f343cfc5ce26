"""What is under way while a deployment is: handlers take what releases before sent, and answer what they read.

Executions keep the definition that they were started by, messages wait in queues for days, and a failed execution is
redriven two weeks later: all of that meets the newest code. tests/releases/ has what each release sent; what is in it
never changes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.invocations import SAMPLES
from tests.unit.deployment import Functions
from tests.unit.runtime import Runtime
from tests.unit.systems import QUEUE_SETTINGS, Systems

RELEASES = Path(__file__).parent.parent / "releases"
PAYLOADS = sorted(RELEASES.glob("*/*/*.json"))
# What each release's definition reads of a task's result.
READ = {
    "1.0": {
        "validate_customer": {"customerData"},
        "create_account": {"accountId"},
        "provision_account": {"system", "status"},
        "deprovision_account": {"system", "status"},
        "send_welcome_email": {"messageId"},
    }
}


@pytest.mark.usefixtures(
    "queued",  # the first queue that there is
    "analytics_table",
    "commands",
    "customers_table",
    "executions",
    "fraud_table",
    "idempotency_table",
    "outbox",
    "published",
    "timelines_table",
)
@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: str(path.relative_to(RELEASES).with_suffix("")))
def test_a_handler_takes_what_a_release_sent(path: Path, runtime: Runtime, systems: Systems) -> None:
    systems.configure("ledger", QUEUE_SETTINGS)
    release, function = path.parts[-3:-1]
    payload = json.loads(path.read_text(encoding="utf-8"))
    if function == "cancel_account":
        runtime.invoke("create_account", payload)

    answer = runtime.invoke(function, payload)

    if read := READ[release].get(function):
        assert read <= answer.keys()
    elif "Records" in payload:
        assert answer == {"batchItemFailures": []}
    elif "httpMethod" in payload:
        assert answer["statusCode"] in {200, 202, 404}
    else:
        assert answer is None


def test_every_function_of_the_last_release_is_there(functions: Functions) -> None:
    last = max(RELEASES.iterdir(), key=lambda folder: tuple(map(int, folder.name.split("."))))
    sampled = {path.name for path in SAMPLES.iterdir() if path.is_dir()}

    assert {path.name for path in last.iterdir()} == sampled
