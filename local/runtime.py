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


def bootstrap(library: Path) -> str:
    """The script that Lambda starts in the package's folder.

    Python puts that folder first on its path, so that what is packaged wins over `library`; -S
    keeps the development environment off it.
    """
    return (
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(library))} "
        f'exec {shlex.quote(sys.executable)} -S -m awslambdaric "$_HANDLER"\n'
    )


def assemble(library: Path) -> None:
    """Make `library` a folder of links to the runtime's modules and packages."""
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir(parents=True)
    for name in DISTRIBUTIONS:
        installed = distribution(name)
        tops = {file.parts[0] for file in installed.files or ()}
        for top in tops - {".."}:
            if not top.endswith(".dist-info"):
                link = library / top
                link.symlink_to(Path(str(installed.locate_file(top))))
