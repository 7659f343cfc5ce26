"""Processes that never outlive whoever started them.

A small process of its own, the keeper, runs the command as a process group. It ends the whole
group and removes its folder as soon as the command ends, the keeper is told to (SIGTERM), or the
pipe to its standard input closes. The system closes that when the process that holds the other
end is gone, however it went: interrupted in whatever line, twice, or killed.
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

# Written to the keeper before the pipe is closed: it goes on alone, until SIGTERM.
STAY = b"stay"


def keep(
    folder: Path,
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    output: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a command in a directory, kept; the process that is returned is its keeper.

    `folder` is the command's to write in. The command's exit status becomes the keeper's; `output`
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


def is_kept(folder: Path) -> bool:
    """Whether the keeper that was started for this folder lives.

    It holds a lock on a file in there, which the system releases with it; so its pid, noted down
    somewhere, is never taken for that of another process.
    """
    try:
        with (folder / "kept").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def await_end(folder: Path) -> None:
    """Wait until the keeper that was started for this folder is gone, however it went."""
    with suppress(FileNotFoundError), (folder / "kept").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _main(folder: Path, command: Sequence[str]) -> int:
    with (folder / "kept").open("w") as lock:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

        def end(*_: object) -> None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

        def end_with_stdin() -> None:
            if b"".join(iter(lambda: os.read(0, len(STAY)), b"")) != STAY:
                end()

        signal.signal(signal.SIGTERM, end)
        threading.Thread(target=end_with_stdin, daemon=True).start()
        fcntl.flock(lock, fcntl.LOCK_EX)  # not before SIGTERM would end the command too
        status = process.wait()
        while folder.exists():  # what is just dying may still write into it
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.01)
    return status


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2:]))
