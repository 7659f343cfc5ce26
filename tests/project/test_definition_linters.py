"""What linters find in the definition as it is deployed. `sam validate --lint` doesn't look into the file.

What none of them finds, the tests of the wiring do.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wiring.definition import Machine, rendered

BIN = Path(sys.executable).parent

Lint = Callable[[Machine, Path], str]


def statelint(machine: Machine, folder: Path) -> str:
    file = folder / "definition.json"
    file.write_text(json.dumps(machine), encoding="utf-8")
    # JSON knows one kind of number, so that a back-off rate of 2 is as good as 2.0. With --eval-jsonata it would find
    # fault with a Condition that is true; the tests of the wiring evaluate each expression.
    return findings("statelint", "--ignore", "FLOAT", str(file))


def cfn_lint(machine: Machine, folder: Path) -> str:
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/workflow", "Definition": machine}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    file = folder / "template.json"
    file.write_text(json.dumps({"Resources": {"Workflow": resource}}), encoding="utf-8")
    return findings("cfn-lint", "--regions", "us-east-1", "--", str(file))


def findings(linter: str, *arguments: str) -> str:
    run = subprocess.run([str(BIN / linter), *arguments], capture_output=True, encoding="utf-8", check=False)
    assert bool(run.stdout) == bool(run.returncode), run.stderr
    return run.stdout


@pytest.mark.parametrize("lint", [statelint, cfn_lint])
class TestTheDefinition:
    def test_has_no_findings(self, lint: Lint, tmp_path: Path) -> None:
        machine = rendered()

        assert lint(machine, tmp_path) == ""

    def test_would_have_some_for_a_broken_one(self, lint: Lint, tmp_path: Path) -> None:
        machine = rendered()
        machine["States"][machine["StartAt"]] |= {"Retyr": [], "ResultPath": "$.result"}  # misspelt; of JSONPath

        found = lint(machine, tmp_path)

        assert [field for field in ("Retyr", "ResultPath") if field not in found] == []
