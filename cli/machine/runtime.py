"""Lambda's Python runtime, put together from the development environment.

Functions see their package, the standard library and these distributions, nothing else of the development environment:
a missing requirement fails here as it would on AWS.
"""

import shlex
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

DISTRIBUTIONS = (
    # AWS's runtime client: it polls for invocations and reports exceptions.
    *("awslambdaric", "simplejson", "snapshot-restore-py"),
    # The SDK.
    *("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"),
)


def bootstrap(packages: Path, library: Path) -> str:
    """The script that Lambda starts in the folder of the function's code.

    On Python's path, the code comes first (see `fork_server.py`), then `packages`, then `library`. -S keeps the
    development environment off it. The emulator doesn't tell the runtime client the functions' log format.
    """
    client = Path(__file__).with_name("fork_client.py")
    return (
        "#!/bin/sh\n"
        f"AWS_LAMBDA_LOG_FORMAT=JSON PYTHONPATH={shlex.quote(f'{packages}:{library}')} "
        f"exec {shlex.quote(sys.executable)} -IS {shlex.quote(str(client))}\n"
    )


def assemble(library: Path) -> None:
    """Make `library` a folder of links to the runtime's modules and packages, unless it is one already."""
    links = {
        top: Path(str(distribution(name).locate_file(top)))
        for name in DISTRIBUTIONS
        for top in {file.parts[0] for file in distribution(name).files or ()} - {".."}
        if not top.endswith(".dist-info")
    }
    # Python's byte code is there too.
    if library.is_dir() and {it.name: it.readlink() for it in library.iterdir() if it.is_symlink()} == links:
        return
    shutil.rmtree(library, ignore_errors=True)
    library.mkdir(parents=True)
    for name, target in links.items():
        (library / name).symlink_to(target)
