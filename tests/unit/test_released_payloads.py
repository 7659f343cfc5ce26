"""What is under way while a deployment is: handlers take what releases before sent, and answer what they read.

Executions keep the definition that they were started by, messages wait in queues for days, and a failed execution is
redriven two weeks later: all of that meets the newest code. tests/releases/ has what each release sent that the ones
before had not, and in its results.json what its definition reads of a task's result. What is in it never changes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.deployment import Functions
from tests.unit.runtime import Runtime

RELEASES = Path(__file__).parent.parent / "releases"
PAYLOADS = sorted(RELEASES.glob("*/*/*.json"))


def read_of(function: str) -> set[str]:
    """What any release's definition reads of the function's result."""
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
        assert read <= answer.keys(), f"functions/{function}/app.py: what release {release} started reads {read}"
    elif "Records" in payload:
        assert answer == {"batchItemFailures": []}
    elif "httpMethod" in payload:
        assert answer["statusCode"] in {200, 202, 404}
    else:
        assert answer in (None, {}), f"tests/releases/{release}/results.json doesn't say what is read of {function}"
