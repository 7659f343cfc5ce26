"""Child processes that are killed with their parent.

A process between the two, the supervisor, runs the command as a process group. It kills the group and removes its
folder when the command ends, on SIGTERM, or when its standard input closes, which the system does when the parent ends.

The supervisor and the command hold a lock on a file that has the group's number. While the lock is held, the number is
theirs, so any process can kill the group, even if the supervisor was killed.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

# If this is written before the pipe is closed, the supervisor keeps running until `end`.
DETACH = b"detach"
LOCK = "running"


def start_supervised(
    folder: Path,
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    output: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a command in a directory and return its supervisor, which exits with the command's status.

    `folder` is for the command's files; `output` gets the output of both.
    """
    return subprocess.Popen(
        [sys.executable, "-IS", __file__, str(folder), *command],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # out of reach of the terminal's Ctrl-C
    )


def is_running(folder: Path) -> bool:
    """Whether this folder's command or its supervisor runs."""
    return _group(folder) is not None


def end(folder: Path) -> None:
    """Kill this folder's command and its group, if they still run."""
    if group := _group(folder):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def await_end(folder: Path) -> None:
    """Wait until this folder's command and its supervisor have ended."""
    with suppress(FileNotFoundError), (folder / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _group(folder: Path) -> int | None:
    """The command's process group, 0 while it starts or ends, or None if the lock is free."""
    with suppress(FileNotFoundError), (folder / LOCK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


def _main(folder: Path, command: Sequence[str]) -> int:
    with (folder / LOCK).open("wb", buffering=0) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, pass_fds=[lock.fileno()])
        lock.write(b"%d" % process.pid)

        def end_with_stdin() -> None:
            if b"".join(iter(lambda: os.read(0, len(DETACH)), b"")) != DETACH:
                end(folder)

        signal.signal(signal.SIGTERM, lambda *_: end(folder))
        threading.Thread(target=end_with_stdin, daemon=True).start()
        # The group's number isn't reused until its first process is waited for.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        end(folder)
        lock.truncate(0)
        status = process.wait()
        while folder.exists():  # a dying process may still write to it
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.01)
    return status


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2:]))
