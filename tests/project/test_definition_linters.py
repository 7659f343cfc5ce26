"""What linters find in the definition as it is deployed. `sam validate --lint` doesn't look into the file.

What none of them finds, the tests of the wiring do.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.generate import DEFINITION

BIN = Path(sys.executable).parent

Machine = dict[str, Any]
Lint = Callable[[Machine, Path], str]


def rendered(definition: str) -> Machine:
    """The definition with something fit in the place of each substitution."""

    def fitting(substitution: re.Match[str]) -> str:
        name = substitution[1]
        if name == "Partition":
            return "aws"
        if name.endswith("FunctionArn"):
            return f"arn:aws:lambda:us-east-1:123456789012:function:{name.removesuffix('FunctionArn')}"
        return name

    machine: Machine = yaml.safe_load(re.sub(r"\$\{(\w+)\}", fitting, definition))
    return machine


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
    run = subprocess.run([str(BIN / linter), *arguments], capture_output=True, text=True, check=False)
    assert bool(run.stdout) == bool(run.returncode), run.stderr
    return run.stdout


@pytest.mark.parametrize("lint", [statelint, cfn_lint])
class TestTheDefinition:
    def test_has_no_findings(self, lint: Lint, tmp_path: Path) -> None:
        machine = rendered(DEFINITION.read_text(encoding="utf-8"))

        assert lint(machine, tmp_path) == ""

    def test_would_have_one_for_a_field_misspelt(self, lint: Lint, tmp_path: Path) -> None:
        machine = rendered(DEFINITION.read_text(encoding="utf-8"))
        machine["States"][machine["StartAt"]]["Retyr"] = []

        assert "Retyr" in lint(machine, tmp_path)

    def test_would_have_one_for_a_jsonpath_field(self, lint: Lint, tmp_path: Path) -> None:
        machine = rendered(DEFINITION.read_text(encoding="utf-8"))
        machine["States"][machine["StartAt"]]["ResultPath"] = "$.result"

        assert "ResultPath" in lint(machine, tmp_path)
