"""`make up` and `make down` believe the emulator, not the file that one run left for the next."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from local import background, emulator
from local.background import down, up


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state file of this test alone."""
    path = tmp_path / "up.json"
    monkeypatch.setattr(background, "STATE", path)
    return path


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_state(pid: int, folder: Path) -> str:
    noted = {"pid": pid, "port": 1, "folder": str(folder)}
    outputs = {"RestApiId": "api", "StageName": "v1"}
    return json.dumps({"emulator": noted, "outputs": outputs, "partners": {"crm": "http://127.0.0.1:2"}})


def test_down_has_nothing_to_end_where_nothing_is_up(state: Path, console: Console) -> None:
    down(console)

    assert said(console) == "Nothing is up.\n"
    assert not state.exists()


def test_down_after_a_restart_of_the_machine_spares_who_has_the_pid_now(
    state: Path, console: Console, tmp_path: Path
) -> None:
    folder = tmp_path / "left-over"
    folder.mkdir()
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        state.write_text(a_state(stranger.pid, folder))

        down(console)

        assert stranger.poll() is None
        stranger.kill()
    assert said(console) == "Nothing is up.\n"
    assert not state.exists()
    assert not folder.exists()


def test_down_gets_over_a_state_file_that_was_half_written(state: Path, console: Console) -> None:
    state.write_text('{"emulator": ')

    down(console)

    assert said(console) == "Nothing is up.\n"
    assert not state.exists()


def test_up_while_it_is_up_says_so_and_down_ends_it(state: Path, console: Console) -> None:
    with emulator.start() as aws:
        state.write_text(a_state(aws.pid, aws.folder))

        up(console)
        down(console)

        assert not aws.is_running()
    assert "It was up already" in said(console)
    assert "curl -i http://127.0.0.1:1/_aws/execute-api/api/v1/api/customers" in said(console)
    assert "curl -X PUT http://127.0.0.1:2/faults" in said(console)
    assert said(console).endswith("Ended.\n")
    assert not state.exists()
