"""What Lambda's Python runtime brings along, put together from the development environment.

Functions package all they need but the AWS SDK. Here they see their package, the standard library
and these distributions, nothing else of the development environment: a requirement that was
forgotten fails on this machine as it would on AWS.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTIONS = (
    # AWS's own runtime client: it polls for invocations and reports what a handler raises.
    *("awslambdaric", "simplejson", "snapshot-restore-py"),
    # The SDK.
    *("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"),
)


def bootstrap(packages: Path, library: Path) -> str:
    """The script that Lambda starts in the folder of the function's code.

    The code comes first on Python's path, then what it requires, so that what is packaged wins over `library`. -S, here
    and in `fork_client.py`, keeps the development environment off it.
    """
    client = Path(__file__).with_name("fork_client.py")
    return (
        "#!/bin/sh\n"
        f'PYTHONPATH="$PWD":{shlex.quote(f"{packages}:{library}")} '
        f"exec {shlex.quote(sys.executable)} -IS {shlex.quote(str(client))}\n"
    )


def assemble(library: Path) -> None:
    """Make `library` a folder of links to the runtime's modules and packages, or leave it as it is if it is that."""
    links = {
        top: Path(str(distribution(name).locate_file(top)))
        for name in DISTRIBUTIONS
        for top in {file.parts[0] for file in distribution(name).files or ()} - {".."}
        if not top.endswith(".dist-info")
    }
    # What Python compiles is there too.
    if library.is_dir() and {it.name: it.readlink() for it in library.iterdir() if it.is_symlink()} == links:
        return
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir(parents=True)
    for name, target in links.items():
        (library / name).symlink_to(target)
