"""What statelint finds in the definition as it is deployed. `sam validate --lint` doesn't look into the file.

What it doesn't find, the tests of the wiring do.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.wiring.definition import rendered


def test_definition_has_no_findings(tmp_path: Path) -> None:
    file = tmp_path / "definition.json"
    file.write_text(json.dumps(rendered()), encoding="utf-8")

    # JSON knows one kind of number, so that a back-off rate of 2 is as good as 2.0. With --eval-jsonata it would find
    # fault with a Condition that is true; the tests of the wiring evaluate each expression.
    linter = Path(sys.executable).with_name("statelint")
    run = subprocess.run([linter, "--ignore", "FLOAT", file], capture_output=True, text=True, check=False)

    assert run.returncode == 0, f"statemachine/customer_onboarding.asl.yaml:\n{run.stdout}{run.stderr}"
