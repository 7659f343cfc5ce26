"""What statelint finds in the definitions as they are deployed. `sam validate --lint` doesn't look into the file.

The tests of the wiring find what it doesn't.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wiring.definition import MACHINES, path, rendered, states
from tests.wiring.rules.retries import timeout_of


@pytest.mark.parametrize("name", MACHINES)
def test_definition_has_no_findings(name: str, tmp_path: Path) -> None:
    file = tmp_path / "definition.json"
    machine = rendered(name)
    for _, state in states(machine, "Task"):  # it doesn't know that a JSONata state's may be an expression
        state["TimeoutSeconds"] = int(timeout_of(state))
    file.write_text(json.dumps(machine), encoding="utf-8")

    # JSON has one kind of number, so a back-off rate of 2 equals 2.0. With --eval-jsonata it would reject a Condition
    # that is always true; the tests of the wiring evaluate each expression.
    linter = Path(sys.executable).with_name("statelint")
    run = subprocess.run([linter, "--ignore", "FLOAT", file], capture_output=True, text=True, check=False)

    assert run.returncode == 0, f"{path(name)}:\n{run.stdout}{run.stderr}"
