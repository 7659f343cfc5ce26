"""When the build is reused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.machine.build import digest_of


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder of functions."""
    folder = tmp_path / "functions"
    (folder / "validate").mkdir(parents=True)
    (folder / "validate" / "app.py").write_text("A = 1\n", encoding="utf-8")
    (folder / "requirements.txt").write_text("pydantic\n", encoding="utf-8")
    return folder


def rewritten(functions: Path) -> None:
    (functions / "validate" / "app.py").write_text("A = 2\n", encoding="utf-8")


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
