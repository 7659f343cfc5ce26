"""The emulator starts on a free port and leaves nothing behind."""

import io
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import NotPossible
from cli.machine import emulator
from cli.machine.emulator import Emulator
from cli.machine.environment import HOST
from cli.machine.polling import back_off
from cli.machine.supervised_process import LOCK

SECONDS = 240  # far more than it takes
BUSY = "#!/bin/sh\nexec sleep 60\n"  # a function that never fetches its invocation


@pytest.fixture
def aws() -> Iterator[Emulator]:
    with emulator.start() as started:
        yield started


def processes_of(folder: Path) -> list[int]:
    """The processes with this TMPDIR: the emulator and its workers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or belongs to another user
            continue
        if f"TMPDIR={folder}".encode() in environment:
            found.append(int(process.name))
    return found


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def is_gone(aws: Emulator) -> bool:
    """Whether no process, folder or port is left in the end."""
    ended = any(not processes_of(aws.folder) and not aws.folder.exists() for _ in back_off(SECONDS))
    return ended and not aws.is_running() and not is_listening(aws.port)


def start_a_worker(aws: Emulator) -> None:
    """Have the emulator start a Lambda worker that keeps running."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", BUSY)
    iam, client = aws.session.client("iam"), aws.session.client("lambda")
    role = iam.create_role(RoleName="busy", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client.create_function(
        FunctionName="busy",
        Runtime="provided.al2023",
        Handler="none",
        Role=role,
        Timeout=60,
        Code={"ZipFile": package.getvalue()},
    )
    before = {*processes_of(aws.folder)}
    client.invoke(FunctionName="busy", InvocationType="Event")
    assert any({*processes_of(aws.folder)} - before for _ in back_off(SECONDS)), "no worker was started"


def test_stop_leaves_nothing_behind(aws: Emulator) -> None:
    start_a_worker(aws)

    aws.stop()
    aws.stop()

    assert is_gone(aws)


def test_emulator_ends_with_its_parent() -> None:
    code = "from cli.machine import emulator\naws = emulator.start()\nprint(aws.port, aws.folder, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as starter:
        assert starter.stdout
        port, folder = starter.stdout.readline().split()
        aws = Emulator(int(port), Path(folder))
        assert is_listening(aws.port)

        starter.kill()

    assert is_gone(aws)


def test_workers_end_with_a_crashed_emulator(aws: Emulator) -> None:
    start_a_worker(aws)

    os.kill(int((aws.folder / LOCK).read_bytes()), signal.SIGKILL)

    assert is_gone(aws)


def test_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "NEEDED_MEGABYTES", 10**9)

    with pytest.raises(NotPossible, match=r"^\S+ has \d+ MB left, .* set TMPDIR to another folder\.$"):
        emulator.start()


def test_failed_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as taken:
        monkeypatch.setattr(emulator, "free_port", lambda: taken.getsockname()[1])

        with pytest.raises(NotPossible, match="already in use"):
            emulator.start()


def test_interrupted_command_cleans_up(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "cli", "demo"], env=environment, stdout=subprocess.DEVNULL) as demo:
        assert any(list(tmp_path.glob("customer-onboarding-*/emulator.log")) for _ in back_off(SECONDS))

        demo.send_signal(signal.SIGTERM)

    assert demo.returncode == 130
    assert list(tmp_path.iterdir()) == []
