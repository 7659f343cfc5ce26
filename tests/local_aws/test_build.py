"""When the build is reused, and what it lets a function see."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.build import digest_of
from local.runtime import assemble, bootstrap


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder of functions."""
    folder = tmp_path / "functions"
    (folder / "validate").mkdir(parents=True)
    (folder / "validate" / "app.py").write_text("A = 1\n")
    (folder / "requirements.txt").write_text("pydantic\n")
    return folder


def rewritten(functions: Path) -> None:
    (functions / "validate" / "app.py").write_text("A = 2\n")


def renamed(functions: Path) -> None:
    (functions / "validate" / "app.py").rename(functions / "validate" / "main.py")


def moved(functions: Path) -> None:
    (functions / "validate").rename(functions / "check")


def added(functions: Path) -> None:
    (functions / "validate" / "__init__.py").touch()


def removed(functions: Path) -> None:
    (functions / "requirements.txt").unlink()


@pytest.mark.parametrize("change", [rewritten, renamed, moved, added, removed])
def test_a_changed_input_has_another_digest(functions: Path, change: Callable[[Path], None]) -> None:
    before = digest_of([functions])

    change(functions)

    assert digest_of([functions]) != before


def test_bytecode_and_times_leave_the_digest_as_it_is(functions: Path) -> None:
    before = digest_of([functions])

    (functions / "validate" / "app.cpython-311.pyc").write_bytes(b"compiled")
    (functions / "requirements.txt").touch()

    assert digest_of([functions]) == before


def seen_by_a_function(package: Path, library: Path, code: str) -> str:
    """What `code` prints when it is the handler's module, started as Lambda starts it."""
    (package / "awslambdaric.py").write_text(code)  # stands for the runtime client, which imports the handler
    (package / "bootstrap").write_text(bootstrap(library))
    command = ["/bin/sh", str(package / "bootstrap")]
    environment = {"_HANDLER": "app.handler", "PATH": "/nowhere"}
    return subprocess.check_output(command, cwd=package, env=environment, text=True).strip()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Lambda's runtime, in a folder whose name a shell would take apart."""
    folder = tmp_path / "my 'runtime'"
    assemble(folder)
    return folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of a function's package."""
    folder = tmp_path / "package"
    folder.mkdir()
    return folder


def test_a_function_sees_the_runtime_and_nothing_else_of_this_environment(package: Path, library: Path) -> None:
    code = (
        "from importlib.util import find_spec\n"
        "print([name for name in ('boto3', 'botocore', 'dateutil', 'rich', 'pydantic') if find_spec(name)])"
    )

    assert seen_by_a_function(package, library, code) == "['boto3', 'botocore', 'dateutil']"


def test_what_is_packaged_wins_over_the_runtime(package: Path, library: Path) -> None:
    (package / "jmespath.py").write_text("")

    where = seen_by_a_function(package, library, "import jmespath; print(jmespath.__file__)")

    assert Path(where) == package / "jmespath.py"


def test_a_function_runs_on_this_python(package: Path, library: Path) -> None:
    assert seen_by_a_function(package, library, "import sys; print(sys.version)") == sys.version
