"""`make up` and `make down`, which check the emulator rather than trust the state file."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest
from rich.console import Console

from cli import PROJECT, background
from cli.aws.stack import RECENT_LOGS
from cli.background import down
from cli.machine.deploy import DIGESTS, EmulatorStack
from cli.machine.emulator import Emulator
from cli.machine.polling import back_off
from cli.machine.supervised_process import LOCK
from tests.customers import a_customer

PATIENCE_SECONDS = 240  # far more than it takes


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state file for this test only."""
    path = tmp_path / "up.json"
    monkeypatch.setattr(background, "STATE", path)
    return path


def down_says(state: Path) -> str:
    """The output of `down`, which removes the state file."""
    said = io.StringIO()
    down(Console(file=said, width=100))
    assert not state.exists()
    return said.getvalue()


def test_logs_begin_after_the_last_up(tmp_path: Path) -> None:
    (tmp_path / DIGESTS).touch()
    stack = EmulatorStack(boto3.Session(), "onboarding", Emulator(1, tmp_path))
    up = datetime.fromtimestamp((tmp_path / DIGESTS).stat().st_mtime, UTC)

    assert stack.recent == up

    os.utime(tmp_path / DIGESTS, (0, 0))

    assert stack.recent >= up - RECENT_LOGS


def test_down_survives_a_missing_or_broken_state(state: Path) -> None:
    assert down_says(state) == "Nothing is running.\n"

    state.write_text('{"emulator": ', encoding="utf-8")

    assert down_says(state) == "Nothing is running.\n"


def test_down_spares_another_process_with_the_pid(state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "left-over"
    folder.mkdir()
    state.write_text(json.dumps({"emulator": {"port": 1, "folder": str(folder)}, "partners": {}}), encoding="utf-8")
    with subprocess.Popen(["/bin/sleep", "60"], process_group=0) as other:
        (folder / LOCK).write_bytes(b"%d" % other.pid)

        assert down_says(state) == "Nothing is running.\n"

        assert other.poll() is None
        other.kill()
    assert not folder.exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the project for edits; its stack is stopped at the end."""
    folder = tmp_path / "checkout"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(".*", "tests", "docs", "benchmarks", "__pycache__"))
    yield folder
    command(folder, "down")


def command(checkout: Path, name: str, status: int = 0) -> str:
    """The output of `python -m cli`, which exits with this status."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", name],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "functions")},  # instead of this checkout's
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_up_deploys_changes_and_keeps_data(checkout: Path) -> None:
    api = re.search(r"^API +(\S+)$", command(checkout, "up"), re.MULTILINE)
    assert api
    customers = httpx.Client(base_url=api[1], trust_env=False, timeout=PATIENCE_SECONDS)

    def register() -> str:
        return str(customers.post("", json=a_customer()).json()["customerId"])

    def await_status(customer_id: str, status: str) -> None:
        answer: dict[str, Any] = {}
        for _ in back_off(PATIENCE_SECONDS):
            answer = customers.get(f"/{customer_id}/onboarding").json()
            if answer.get("status") == status:
                return
        raise AssertionError(answer)

    first = register()
    await_status(first, "ONBOARDED")
    assert "Already running and up to date." in command(checkout, "up")

    handler = checkout / "functions/get_onboarding/app.py"
    sound = handler.read_text(encoding="utf-8")
    handler.write_text("import nothing_of_that_name\n", encoding="utf-8")
    assert "nothing_of_that_name" in command(checkout, "up", status=1)
    handler.write_text(sound, encoding="utf-8")
    definition = checkout / "statemachine/customer_onboarding.asl.yaml"
    change(definition, "DetailType: WelcomeEmailSent", "DetailType: MailSent")
    said = command(checkout, "up")
    assert ("\nfunctions" in said, "\nworkflow" in said) == (True, True)  # a failed update is repeated
    await_status(register(), "ACCOUNT_CREATED")

    change(handler, "No onboarding with this id", "Nobody of that name")
    assert "\nfunctions" in command(checkout, "up")
    assert "Nobody of that name" in customers.get(f"/{uuid4()}/onboarding").json()["detail"]

    change(checkout / "template.yaml", "Checks the business rules and normalises", "Checks and normalises")
    assert "sam deploy" in command(checkout, "up")
    await_status(first, "ONBOARDED")
    await_status(register(), "ACCOUNT_CREATED")
    assert "Nobody of that name" in customers.get(f"/{uuid4()}/onboarding").json()["detail"]
