"""Forks the workers of Lambda functions, which start within milliseconds, since everything is already imported.

One process imports what functions share. It forks a process for each function, which imports the handler and forks the
function's workers. As with SnapStart, a worker starts from a function that is initialised but was never invoked.
"""

import fcntl
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from logging import getLogger
from pathlib import Path
from typing import Any

# Slow to import, and independent of the environment, which differs between functions.
SHARED = ("botocore.session", "pydantic.main")  # pydantic itself imports nothing
REQUEST_BYTES = 65536


@dataclass(frozen=True)
class Forked:
    """A process, its pidfd, and the client that waits for its exit status."""

    pid: int
    file: int
    client: socket.socket

    def close(self) -> None:
        os.close(self.file)
        self.client.close()

    def has_ended(self, ready: list[Any]) -> bool:
        """Whether it has ended, given the files that are ready to read; it is killed if its client has left."""
        if self.client in ready:
            signal.pidfd_send_signal(self.file, signal.SIGKILL)
        elif self.file not in ready:
            return False
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with suppress(OSError):  # the client has left
            self.client.send(bytes([status & 0xFF]))
        self.close()
        return True


def main(name: str, listener: socket.socket) -> None:
    """Run as the base process. Each `serve` returns in the processes that it forks."""
    # If an import fails, here or below, the worker repeats it and reports the error as on AWS.
    for module in SHARED:
        if find_spec(module.partition(".")[0]):
            with suppress(BaseException):
                import_module(module)
    (function, environment, code), (descriptor,) = serve(name, listener)

    os.chdir(code)
    sys.path.insert(0, code)
    _enter(environment)
    # Each worker imports the runtime client, which reads the environment when it is loaded.
    with suppress(BaseException):
        import_module(os.environ["_HANDLER"].rpartition(".")[0].replace("/", "."))
    # On AWS, Powertools finds the runtime client's handler when it is imported, and keeps its lines from it.
    getLogger(os.environ.get("POWERTOOLS_SERVICE_NAME")).propagate = False
    environment, streams = serve(function, socket.socket(fileno=descriptor), until_the_client_leaves=True)

    _enter(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = ["awslambdaric", os.environ["_HANDLER"]]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


def serve(name: str, listener: socket.socket, *, until_the_client_leaves: bool = False) -> tuple[Any, list[int]]:
    """Fork a process for each request, and return the request and its open files there.

    The server exits once its last process has ended.
    """
    running: list[Forked] = []
    while True:
        awaited: list[Any] = [listener, *(process.file for process in running)]
        if until_the_client_leaves:
            awaited += [process.client for process in running]
        ready, _, _ = select.select(awaited, [], [])
        if listener in ready:
            client, _ = listener.accept()
            request, files, _, _ = socket.recv_fds(client, REQUEST_BYTES, 3)
            if not request:  # the client was killed
                client.close()
            elif pid := os.fork():
                for file in files:
                    os.close(file)
                running.append(Forked(pid, os.pidfd_open(pid), client))
            else:
                listener.close()
                client.close()
                for process in running:
                    process.close()
                return json.loads(request), files
        running = [process for process in running if not process.has_ended(ready)]
        if not running and _nobody_has_connected(name, listener):
            sys.exit()


def _nobody_has_connected(name: str, listener: socket.socket) -> bool:
    """Whether no client has connected; if so, remove the socket under the lock, so that none can."""
    with Path(f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if select.select([listener], [], [], 0)[0]:
            return False
        Path(name).unlink()
        return True


def _enter(environment: dict[str, str]) -> None:
    """Replace the environment, as if Python had been started in it."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


if __name__ == "__main__":
    main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
