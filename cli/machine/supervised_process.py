"""Child processes that are killed with their parent.

A process between the two, the supervisor, runs the command as a process group. It kills the whole group and removes
its folder as soon as the command ends, the supervisor is asked to end (SIGTERM), or the pipe to its standard input
closes. The system closes that when the parent is gone: interrupted on any line, twice, or killed.

The supervisor and the command hold a lock on a file in the folder, which has the group's number. The system releases it
with the last of the two, so while it is locked the number is not that of other processes. A process that finds the
lock held can end the group, even if the supervisor was killed.
"""

from __future__ import annotations

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

# Written to the supervisor before the pipe is closed: it goes on alone, until `end`.
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
    """Start a command in a directory; the process that is returned is its supervisor.

    `folder` is the command's to write in. The command's exit status becomes the supervisor's; `output`
    gets what either says.
    """
    return subprocess.Popen(
        [sys.executable, "-IS", __file__, str(folder), *command],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a terminal's Ctrl-C is for the one who started it
    )


def is_running(folder: Path) -> bool:
    """Whether the command that was started for this folder runs, or its supervisor does."""
    return _group(folder) is not None


def end(folder: Path) -> None:
    """Kill the command that was started for this folder, and its group; nothing if it has ended."""
    if group := _group(folder):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def await_end(folder: Path) -> None:
    """Wait until the command that was started for this folder is gone, and its supervisor, however they went."""
    with suppress(FileNotFoundError), (folder / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _group(folder: Path) -> int | None:
    """The command's process group, or 0 if it is just starting or ending; None if the lock is free."""
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
        # The number of the group is not used again before its first process is waited for.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        end(folder)
        lock.truncate(0)
        status = process.wait()
        while folder.exists():  # what is just dying may still write into it
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.01)
    return status


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2:]))
