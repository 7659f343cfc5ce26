"""The emulator comes up by itself and goes without a trace."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.machine import emulator
from cli.machine.emulator import Emulator, EmulatorDidNotStart
from cli.machine.environment import HOST
from cli.machine.polling import back_off
from cli.machine.supervised_process import LOCK

SECONDS = 240  # far more than it takes
BUSY = "#!/bin/sh\nexec sleep 60\n"  # a function that never asks for its invocation


@pytest.fixture
def aws() -> Iterator[Emulator]:
    with emulator.start() as started:
        yield started


def processes_of(folder: Path) -> list[int]:
    """The processes that have the folder as theirs for temporary files: the emulator and its workers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile, or another user's
            continue
        if f"TMPDIR={folder}".encode() in environment:
            found.append(int(process.name))
    return found


def none_left_of(folder: Path) -> bool:
    return any(not processes_of(folder) for _ in back_off(SECONDS))


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def start_a_worker(aws: Emulator) -> None:
    """Have the emulator start a Lambda worker that goes on running."""
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
        Code={"ZipFile": package.getvalue()},
    )
    before = len(processes_of(aws.folder))
    client.invoke(FunctionName="busy", InvocationType="Event")
    assert any(len(processes_of(aws.folder)) > before for _ in back_off(SECONDS)), "no worker was started"


def test_clients_reach_the_emulator_whatever_the_environment_says(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    queue = aws.session.client("sqs").create_queue(QueueName="here")["QueueUrl"]

    assert f":{aws.port}/" in queue


def test_settings_are_the_emulators_environment() -> None:
    with emulator.start({"SFN_WAIT_SCALE": "0"}) as aws:
        environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in processes_of(aws.folder)]

    assert environments
    assert all(b"SFN_WAIT_SCALE=0" in environment.split(b"\0") for environment in environments)


def test_stopping_leaves_no_process_no_port_and_no_folder(aws: Emulator) -> None:
    start_a_worker(aws)

    aws.stop()

    assert none_left_of(aws.folder)
    assert not is_listening(aws.port)
    assert not aws.folder.exists()
    assert not aws.is_running()


def test_it_ends_with_whoever_started_it_even_if_that_one_is_killed() -> None:
    code = "from cli.machine import emulator\naws = emulator.start()\nprint(aws.port, aws.folder, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as starter:
        assert starter.stdout
        port, folder = starter.stdout.readline().split()
        assert is_listening(int(port))

        starter.kill()

    assert any(not Path(folder).exists() for _ in back_off(SECONDS))
    assert none_left_of(Path(folder))
    assert not is_listening(int(port))


def test_left_running_it_stays_until_another_process_stops_it() -> None:
    code = "from cli.machine import emulator\naws = emulator.start()\naws.leave_running()\nprint(aws.port, aws.folder)"
    started = subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], encoding="utf-8").split()
    aws = Emulator(port=int(started[0]), folder=Path(started[1]))
    try:
        assert aws.is_running()
        assert is_listening(aws.port)
    finally:
        aws.stop()
    assert none_left_of(aws.folder)
    assert not aws.folder.exists()


def test_another_process_with_the_noted_pid_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], process_group=0) as stranger:
        (tmp_path / LOCK).write_bytes(b"%d" % stranger.pid)
        aws = Emulator(port=1, folder=tmp_path)

        aws.stop()

        assert not aws.is_running()
        assert stranger.poll() is None
        stranger.kill()


def test_emulator_whose_supervisor_was_killed_can_be_stopped(aws: Emulator) -> None:
    start_a_worker(aws)
    assert aws._supervisor
    aws._supervisor.kill()
    aws._supervisor.wait()
    found_later = replace(aws, _supervisor=None)
    assert found_later.is_running()

    found_later.stop()

    assert none_left_of(aws.folder)
    assert not aws.folder.exists()
    assert not found_later.is_running()


def test_workers_end_with_an_emulator_that_crashes(aws: Emulator) -> None:
    start_a_worker(aws)

    os.kill(int((aws.folder / LOCK).read_bytes()), signal.SIGKILL)

    assert none_left_of(aws.folder)
    assert any(not aws.folder.exists() for _ in back_off(SECONDS))


def test_full_temporary_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "NEEDED_MEGABYTES", 10**9)

    with pytest.raises(EmulatorDidNotStart, match=r"^\S+ has \d+ MB left, .* set TMPDIR to another folder\.$"):
        emulator.start()


def test_a_second_stop_does_nothing(aws: Emulator) -> None:
    aws.stop()

    aws.stop()
    replace(aws, _supervisor=None).stop()

    assert not aws.folder.exists()


def test_an_emulator_that_ends_at_once_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as taken:
        monkeypatch.setattr(emulator, "_free_port", lambda: taken.getsockname()[1])

        with pytest.raises(EmulatorDidNotStart, match="already in use"):
            emulator.start()


def test_an_interrupted_command_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "demo"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as demo:
        assert any(list(tmp_path.glob("customer-onboarding-*/emulator.log")) for _ in back_off(SECONDS))

        demo.send_signal(signal.SIGTERM)

    assert demo.returncode == 130
    assert list(tmp_path.iterdir()) == []
