"""How the command `logs` shows a line of a function's log."""

import json

import pytest

from cli.operate.logs import _line

OURS = {"level": "INFO", "message": "Done", "timestamp": "now", "function_name": "f", "customer_id": "1"}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (json.dumps(OURS), ("INFO", "Done", (("customer_id", "1"),))),
        (json.dumps({"level": "ERROR", "errorType": "KeyError", "errorMessage": "x"}), ("ERROR", "KeyError: x", ())),
        (
            json.dumps(OURS | {"exception_name": "KeyError", "stack_trace": {}}),
            ("INFO", "Done", (("customer_id", "1"),)),
        ),
        (json.dumps({"_aws": {}, "CustomerOnboarded": [1.0]}), None),
        (json.dumps({"type": "platform.report", "record": {"status": "success"}}), None),
        ("START RequestId: 1 Version: $LATEST", None),
        ("printed", ("", "printed", ())),
        ("5", ("", "5", ())),
        ('{"level": 5}', ("5", "None", ())),
    ],
)
def test_any_line_is_shown(message: str, shown: object) -> None:
    line = _line("f", {"timestamp": 0, "message": message})

    assert (line and (line.level, line.message, line.keys)) == shown
