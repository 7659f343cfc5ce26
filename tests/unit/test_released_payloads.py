"""Handlers accept what earlier releases sent, and answer with what those read.

Executions keep the definition that they started with, messages wait in queues for days, and a failed execution is
redriven two weeks later: all of them meet the newest code. tests/releases/ has what each release was the first to send,
and in results.json what its definition reads from a task's result. Its files never change.
"""

import json
from pathlib import Path

import pytest

from tests.unit.deployment import Functions
from tests.unit.runtime import Runtime

RELEASES = Path(__file__).parent.parent / "releases"
PAYLOADS = sorted(RELEASES.glob("*/*/*.json"))


def read_of(function: str) -> set[str]:
    """The fields that any release's definition reads from the function's result."""
    results = (json.loads(path.read_text(encoding="utf-8")) for path in RELEASES.glob("*/results.json"))
    return {field for result in results for field in result.get(function, ())}


@pytest.mark.usefixtures("all_of_aws")
@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: str(path.relative_to(RELEASES).with_suffix("")))
def test_handler_takes_what_a_release_sent(path: Path, functions: Functions, runtime: Runtime) -> None:
    release, function = path.parts[-3:-1]
    assert function in functions, f"{function} is gone from template.yaml, and release {release} still calls it"
    payload = json.loads(path.read_text(encoding="utf-8"))
    if function == "cancel_account":
        runtime.invoke("create_account", payload)

    answer = runtime.invoke(function, payload)

    if read := read_of(function):
        assert read <= answer.keys(), f"functions/{function}/app.py: release {release} reads {read} from the result"
    elif "Records" in payload:
        assert answer == {"batchItemFailures": []}
    elif "httpMethod" in payload:
        assert answer["statusCode"] in {200, 202, 404}
    else:
        assert answer in (None, {}), f"tests/releases/{release}/results.json: list what is read from {function}"
