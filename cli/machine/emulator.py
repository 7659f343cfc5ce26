"""The emulator: it runs on a free port, writes to one folder, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Self

import boto3
import httpx
from botocore.config import Config

from cli import NotPossible
from cli.machine.environment import HOST, REGION, ROOT_KEY, ROOT_OF_THE_EMULATOR, forget_aws, no_proxy
from cli.machine.polling import back_off
from cli.machine.supervised_process import DETACH, end, is_running, start_supervised

# Far more than it takes, even on a busy machine.
START_SECONDS = 120
END_SECONDS = 60
# Several times what a demo writes. On a full disk, functions fail at random.
NEEDED_MEGABYTES = 16
# The emulator speaks plain HTTP: each request would load the certificates of all authorities, which takes 20 ms.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class EmulatorSession(boto3.Session):
    """A boto3 session whose clients use the emulator. It removes the user's AWS settings from this process."""

    def __init__(self, endpoint_url: str) -> None:
        forget_aws()
        super().__init__(ROOT_KEY, ROOT_KEY, region_name=REGION)
        self._endpoint_url = endpoint_url
        self._lock = Lock()  # a boto3 session isn't thread-safe

    if not TYPE_CHECKING:  # the stubs' `client` has better types

        def client(self, *args: object, **kwargs: object) -> object:
            bound = {"endpoint_url": self._endpoint_url, "config": Config(proxies={})}
            with self._lock:
                return super().client(*args, **(bound | kwargs))


@dataclass(frozen=True)
class Emulator:
    """A running emulator, and the folder that it and its Lambda workers write to."""

    port: int
    folder: Path
    # None if another process started it.
    _supervisor: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def session(self) -> EmulatorSession:
        return EmulatorSession(self.endpoint_url)

    def credentials(self) -> dict[str, str]:
        """The environment variables with which AWS's tools use this emulator."""
        return ROOT_OF_THE_EMULATOR | {"AWS_ENDPOINT_URL": self.endpoint_url} | no_proxy()

    def mails(self) -> list[dict[str, Any]]:
        """The e-mails that SES would have sent: {MessageId, To, Subject, BodyText, BodyHtml, …}."""
        answer = httpx.get(
            f"{self.endpoint_url}/_ministack/ses/messages", trust_env=False, timeout=60, verify=NO_CERTIFICATES
        )
        by_account = answer.raise_for_status().json()["messages"]
        return [mail for mails in by_account.values() for mail in mails]

    def is_running(self) -> bool:
        return is_running(self.folder)

    def leave_running(self) -> None:
        """Let it outlive this process."""
        if self._supervisor and self._supervisor.stdin:
            with self._supervisor.stdin as pipe:
                pipe.write(DETACH)

    def stop(self) -> None:
        """Kill the emulator and its workers, and remove their folder. Idempotent."""
        end(self.folder)  # on SIGTERM, ministack would leave its workers running
        if self._supervisor:
            self._supervisor.communicate()
        for _ in back_off(END_SECONDS):
            if not self.is_running():
                shutil.rmtree(self.folder, ignore_errors=True)
                if not self.folder.exists():  # a dying process may still write to it
                    break

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(settings: Mapping[str, str] | None = None) -> Emulator:
    """Start an emulator, with more environment variables, and wait until it answers. Raises `NotPossible`."""
    free_megabytes = shutil.disk_usage(tempfile.gettempdir()).free // 1_000_000
    if free_megabytes < NEEDED_MEGABYTES:
        raise NotPossible(
            f"{tempfile.gettempdir()} has {free_megabytes} MB left, and the emulator needs {NEEDED_MEGABYTES} MB: "
            "free up space, or set TMPDIR to another folder."
        )
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="customer-onboarding-"))
    emulator = Emulator(port, folder)
    try:
        with (folder / "emulator.log").open("w+b") as log:
            supervisor = start_supervised(
                folder,
                [sys.executable, "-m", "cli.machine.mailbox_simulator"],
                directory=folder,
                environment=_environment(port, folder) | dict(settings or {}),
                output=log,
            )
            emulator = Emulator(port, folder, supervisor)
            _await_health(emulator, supervisor, log)
    except BaseException:
        emulator.stop()
        raise
    return emulator


def _environment(port: int, folder: Path) -> dict[str, str]:
    """The emulator's whole environment, which its Lambda workers inherit."""
    return ROOT_OF_THE_EMULATOR | {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        # By default it listens on all interfaces, and on MQTT's and SFTP's ports.
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # On start it would remove another ministack's containers.
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "LAMBDA_EXECUTOR": "local",
        # A worker takes 15 MB. Calls over this limit are refused, and five refusals dead-letter a message.
        # 200 registrations a second needed 104 workers on two cores.
        "LAMBDA_ACCOUNT_CONCURRENCY": "128",
        "AUTH": "true",
    }


def free_port() -> int:
    """A port for a server that is about to start.

    For a minute the system gives it to nobody else: of a connection to it, this end was closed first (TIME_WAIT). A
    server may listen on it all the same, by SO_REUSEADDR.
    """
    with socket.create_server((HOST, 0)) as server, socket.create_connection(server.getsockname()), server.accept()[0]:
        port: int = server.getsockname()[1]
        return port


def _await_health(emulator: Emulator, supervisor: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    for _ in back_off(START_SECONDS):
        with suppress(httpx.TransportError):
            health = httpx.get(
                f"{emulator.endpoint_url}/_ministack/health", trust_env=False, timeout=1, verify=NO_CERTIFICATES
            )
            # If the process has ended, another one took the port first and answers here.
            if health.is_success and supervisor.poll() is None:
                return
        if supervisor.poll() is not None:
            break
    said = os.pread(log.fileno(), 1_000_000, 0).decode(errors="replace")
    raise NotPossible(f"The emulator did not start:\n{said[-2000:]}")
