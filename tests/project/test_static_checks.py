"""What `make lint` runs, one test a check, so that they run in parallel."""

import os
import re
import subprocess
import tomllib

import pytest

from cli import PROJECT

CHECKS = re.findall(r"^lint-\w+(?=:)", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
HANDLERS = {path.parent.name for path in (PROJECT / "functions").glob("*/app.py")}


@pytest.mark.parametrize("check", CHECKS)
def test_static_check_finds_nothing(check: str) -> None:
    # Without the flags of a make that runs these tests: they name its job server.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    made = subprocess.run(
        ["make", "--no-print-directory", "--old-file=setup", check],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert made.returncode == 0, made.stdout + made.stderr
    if check == "lint-policies":
        assert re.search("Passed checks: [1-9]", made.stdout), made.stdout + made.stderr


def test_every_handler_is_in_the_layers() -> None:
    linter = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]

    missing = HANDLERS - set(linter["root_packages"])

    assert not missing, f"add to root_packages in pyproject.toml: {', '.join(sorted(missing))}"
