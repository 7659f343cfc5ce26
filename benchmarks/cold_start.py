"""The CPU time that a function takes to import its handler and build its clients, beside the bare way.

Each measurement is a fresh process that sees what Lambda gives it: the package, the runtime's SDK and the standard
library. A function and its bare way take turns, so that what else the machine does touches both alike, and only the
ratio of the two is a result.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# What is measured is put between these; the interpreter's own start is not.
CHILD = """\
import time
began = time.process_time()
{code}
print(time.process_time() - began)
"""
HANDLER = "import {module}"
SERVICES = """\
import gc, {module}
from botocore.client import BaseClient
for thing in gc.get_objects():
    if isinstance(thing, BaseClient):
        print(thing.meta.service_model.service_name)
"""
# A function without clients is held against one that has the table's.
DEFAULT_SERVICES = ("dynamodb",)
IMPORT_TIME = re.compile(r"^import time:\s+(?P<own>\d+) \|\s+\d+ \| +(?P<module>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """A function's code as it lies in Lambda, and what the runtime adds."""

    folder: Path
    library: Path
    environment: Mapping[str, str]

    def run(self, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run code in a fresh process; raises `subprocess.CalledProcessError`."""
        return subprocess.run(
            [sys.executable, "-S", *options, "-c", code],
            cwd=self.folder,
            env={
                **self.environment,
                "PATH": os.defpath,
                "PYTHONPATH": f"{self.folder}{os.pathsep}{self.library}",
                # Lambda's /var/task can't be written to.
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            encoding="utf-8",
            check=True,
        )

    def seconds(self, code: str) -> float:
        """CPU seconds that the code takes."""
        return float(self.run(CHILD.format(code=code)).stdout.split()[-1])


@dataclass(frozen=True)
class ColdStart:
    """CPU seconds of a function and of the bare way, medians of as many turns; their ratio is the median's too."""

    module: str
    services: tuple[str, ...]
    bare: float
    function: float
    ratio: float


def measure(package: Package, module: str, turns: int) -> ColdStart:
    """Measure the module of a handler, in so many turns."""
    services = tuple(sorted(set(package.run(SERVICES.format(module=module)).stdout.split())))
    clients = "\n".join(f"boto3.client({service!r})" for service in services or DEFAULT_SERVICES)
    bare, function = f"import boto3\n{clients}", HANDLER.format(module=module)
    pairs = [(package.seconds(bare), package.seconds(function)) for _ in range(turns)]
    return ColdStart(
        module,
        services,
        bare=median(first for first, _ in pairs),
        function=median(second for _, second in pairs),
        ratio=median(second / first for first, second in pairs),
    )


def where_the_time_goes(package: Package, module: str) -> Counter[str]:
    """Microseconds of importing, by the package at the top of each module's name; all of ours is one.

    Measured by `-X importtime`, which takes longer than it would by itself. A handler's own module counts with its
    clients, which are built while it is imported.
    """
    report = package.run(HANDLER.format(module=module), "-X", "importtime").stderr
    parts: Counter[str] = Counter()
    for line in IMPORT_TIME.finditer(report):
        name = line["module"].partition(".")[0]
        if line["module"] == module:
            part = "handler and clients"
        elif name in {"onboarding", module.partition(".")[0]}:
            part = "onboarding"
        elif name.lstrip("_") in sys.stdlib_module_names or name in sys.stdlib_module_names:
            part = "standard library"
        else:
            part = name
        parts[part] += int(line["own"])
    return parts
