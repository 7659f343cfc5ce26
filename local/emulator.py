"""The emulator's process: on a free port, in a folder of its own, ended without a trace."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
import httpx
from botocore.config import Config

from local.polling import back_off

HOST = "127.0.0.1"
REGION = "us-east-1"
# ministack takes this key for its account's root user, who may do everything. Functions get the
# keys of their own roles and are held to them.
ROOT_KEY = "test"
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_SECONDS = 30
END_SECONDS = 5


class EmulatorDidNotStart(RuntimeError):
    """The emulator ended, or did not answer in time; the message has the end of its log."""


class EmulatorSession(boto3.Session):
    """boto3's session, with every client bound to the emulator whatever the environment says."""

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(ROOT_KEY, ROOT_KEY, region_name=REGION)
        self._endpoint_url = endpoint_url

    if not TYPE_CHECKING:  # the stubs' `client` is one overload a service, better than any here

        def client(self, *args: Any, **kwargs: Any) -> Any:
            bound = {"endpoint_url": self._endpoint_url, "config": Config(proxies={})}
            return super().client(*args, **(bound | kwargs))


@dataclass(frozen=True)
class Emulator:
    """A running emulator; as a context manager it is stopped on leaving.

    `folder` holds everything that it and its Lambda workers write. `pid` is also the id of the
    process group that all of them are in.
    """

    pid: int
    port: int
    folder: Path
    # Absent where another process started it.
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def session(self) -> EmulatorSession:
        return EmulatorSession(self.endpoint_url)

    def credentials(self) -> dict[str, str]:
        """The environment in which AWS's tools talk to this emulator, and to nothing else."""
        return _credentials(self.endpoint_url)

    def is_running(self) -> bool:
        """Whether the very process that was started lives; another one with its pid does not count.

        It inherited a lock on a file in its folder, which the system releases when it ends.
        """
        try:
            with (self.folder / "alive").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False

    def stop(self) -> None:
        """End the emulator and its workers and remove their folder; harmless when done before.

        Told to stop politely, ministack would leave its workers behind. It starts them in its own
        process group, so one signal ends all; what they hold in memory is meant to be lost.
        """
        with _uninterrupted():
            if self.is_running():
                os.killpg(self.pid, signal.SIGKILL)
                if self._process is not None:
                    self._process.wait()
            # Whatever is just dying may still write into it.
            for _ in back_off(END_SECONDS):
                shutil.rmtree(self.folder, ignore_errors=True)
                if not self.folder.exists():
                    break

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(settings: Mapping[str, str] | None = None) -> Emulator:
    """Start an emulator and wait until it answers.

    `settings` are ministack's environment variables (`SFN_WAIT_SCALE`, `SFN_MOCK_CONFIG`, …), on
    top of ours. Raises `EmulatorDidNotStart`.
    """
    folder = Path(tempfile.mkdtemp(prefix="customer-onboarding-"))
    try:
        emulator, process = _launch(folder, settings or {})
    except BaseException:
        shutil.rmtree(folder)
        raise
    try:
        _await_health(emulator, process)
    except BaseException:
        emulator.stop()
        raise
    return emulator


def _launch(folder: Path, settings: Mapping[str, str]) -> tuple[Emulator, subprocess.Popen[bytes]]:
    port = _free_port()
    with (folder / "alive").open("w") as lock, (folder / "emulator.log").open("wb") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=_environment(port, folder) | dict(settings),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )
    return Emulator(process.pid, port, folder, process), process


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back the signals that would end this process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _credentials(endpoint_url: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
    }


def _environment(port: int, folder: Path) -> dict[str, str]:
    """The whole environment of the emulator, which its Lambda workers inherit: nothing of ours."""
    return _credentials(f"http://{HOST}:{port}") | {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        # It would listen on all interfaces, and on MQTT's and SFTP's ports too.
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # When it starts it removes containers that look like another ministack's leavings.
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "LAMBDA_EXECUTOR": "local",
        # One process for each concurrent invocation: on a small machine a burst of cold starts
        # would otherwise take longer than Lambda allows for one.
        "LAMBDA_ACCOUNT_CONCURRENCY": "16",
        "AUTH": "true",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _await_health(emulator: Emulator, process: subprocess.Popen[bytes]) -> None:
    url = f"{emulator.endpoint_url}/_ministack/health"
    # Also true of somebody else's ministack on that port: only ours must be alive too.
    for _ in back_off(START_SECONDS):
        with suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False).is_success and process.poll() is None:
                return
        if process.poll() is not None:
            break
    log = (emulator.folder / "emulator.log").read_text(errors="replace")
    raise EmulatorDidNotStart(f"the emulator did not start; the end of its log:\n{log[-2000:]}")
