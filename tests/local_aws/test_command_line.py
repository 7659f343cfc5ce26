"""`onboarding`: what it writes where, and its exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import background
from cli.__main__ import commands as onboarding


@pytest.fixture
def nothing_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "STATE", tmp_path / "up.json")


def test_setup_puts_the_command_in_place_for_any_folder(tmp_path: Path) -> None:
    (tmp_path / "cli.py").write_text("raise ImportError", encoding="utf-8")
    command = Path(sys.executable).with_name("onboarding")

    done = subprocess.run([command, "--help"], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: onboarding [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.usefixtures("nothing_is_up")
def test_what_cannot_be_done_is_said_on_standard_error() -> None:
    done = CliRunner(mix_stderr=False).invoke(onboarding, ["trace", "5f0c0b4e"])

    assert done.exit_code == 1
    assert (done.stdout, done.stderr.startswith("Error: Nothing is up.")) == ("", True)


@pytest.mark.usefixtures("nothing_is_up")
def test_wrong_usage_is_said_before_anything_is_done() -> None:
    done = CliRunner(mix_stderr=False).invoke(onboarding, ["redrive", "--since", "yesterday"])

    assert done.exit_code == 2
    assert "'yesterday' is not a time such as 2026-11-17T09:00" in done.stderr
