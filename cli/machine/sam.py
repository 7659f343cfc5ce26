"""SAM CLI, run quietly: it sends nothing, writes nothing outside its folder, and ends with this process.

`python -m cli.machine.sam validate --lint` runs it on the project's template.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cli import PROJECT, NotPossible
from cli.machine.environment import ROOT_OF_THE_EMULATOR
from cli.machine.supervised_process import start_supervised

# In seconds since 1970: SAM CLI looks for a newer version a week later.
NEVER = 4102444800.0


def sam(*arguments: str, directory: Path, environment: Mapping[str, str]) -> None:
    """Run `sam` in a directory, without the user's AWS and Python settings. Raises `NotPossible` with its output."""
    binaries = Path(sys.executable).parent
    # The supervisor removes it too, unless an interrupt comes before that runs.
    with tempfile.TemporaryDirectory(prefix="customer-onboarding-sam-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "metadata.json").write_text(json.dumps({"lastVersionCheck": NEVER}), encoding="utf-8")
        theirs = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAM_", "PYTHON"))}
        ours = {
            "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",  # also finds uv
            "PYTHONUTF8": "1",  # the project's files are UTF-8 in any locale
            "TMPDIR": str(folder),
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.05",  # seconds
            "__SAM_CLI_APP_DIR": str(folder),
        }
        with start_supervised(
            folder,
            [str(binaries / "sam"), *arguments],
            environment=theirs | ours | dict(environment),
            directory=directory,
            output=subprocess.PIPE,
        ) as process:
            output = b"".join(process.stdout or ()).decode(errors="replace")
    if process.returncode:
        raise NotPossible(f"sam {' '.join(arguments)}\n{output}")


if __name__ == "__main__":
    try:
        sam(*sys.argv[1:], directory=PROJECT, environment=ROOT_OF_THE_EMULATOR)
    except NotPossible as failure:
        sys.exit(str(failure))
