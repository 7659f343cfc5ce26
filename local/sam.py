"""SAM CLI as it is, run out of the way: quiet, without a word to the outside, ended with us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from local import WORKSPACE

# A time far ahead, in seconds since 1970: SAM CLI looks for a newer version a week after it.
NEVER = 4102444800


class SamFailed(RuntimeError):
    """SAM CLI ended with an error; the message has the command and all that it said."""


def sam(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run `sam` with the given arguments. Raises `SamFailed`.

    It runs in the workspace: SAM CLI keeps what it downloaded in the working directory, and a
    build for AWS in the project's own .aws-sam is not to be mixed with one for this machine.
    """
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory(prefix="customer-onboarding-sam-") as folder:
        with subprocess.Popen(
            [str(binaries / "sam"), *arguments],
            env=_environment(binaries, Path(folder)) | dict(environment),
            cwd=WORKSPACE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)  # uv, which it starts, is in its group
                raise
    if process.returncode:
        raise SamFailed(f"sam {' '.join(arguments)}\n{output}")


def _environment(binaries: Path, folder: Path) -> dict[str, str]:
    """The user's environment, less what concerns their AWS account; all that is written in folder.

    The user's own ~/.aws-sam stays as it is, and the newest version is not asked for.
    """
    (folder / "metadata.json").write_text(json.dumps({"lastVersionCheck": NEVER}))
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAM_"))}
    return theirs | {
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # uv is there too
        "TMPDIR": str(folder),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",  # seconds
        "__SAM_CLI_APP_DIR": str(folder),
    }
