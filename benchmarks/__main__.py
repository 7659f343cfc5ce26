"""`make bench` prints the CPU time of each function's cold start, where it goes, and the package's size.

Each measurement is a new process that has only the package, the runtime's SDK and the standard library. Each function
alternates with a baseline that imports boto3 and builds the same clients. Only their ratio is comparable across
machines.
"""

import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from rich.progress import track
from rich.table import Table

from cli import terminal
from cli.machine.build import BUILT, LIBRARY, build

TURNS = 11  # measurements of each
# Excludes the interpreter's start.
TIMED = "import time\nbegan = time.process_time()\n{code}\nprint(time.process_time() - began)"
SERVICES = """\
import gc, {module}
from botocore.client import BaseClient
print(*{{it.meta.service_model.service_name for it in gc.get_objects() if isinstance(it, BaseClient)}})
"""
IMPORT_TIME = re.compile(r"^import time:\s+(?P<own>\d+) \|\s+\d+ \| +(?P<module>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """A function's package, as in Lambda."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run code in a new process."""
        environment = {
            "PYTHONPATH": f"{self.folder}{os.pathsep}{LIBRARY}",
            "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only
            **self.environment,
        }
        command = [sys.executable, "-S", *options, "-c", code]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, encoding="utf-8", check=True
        )

    def milliseconds(self, code: str) -> float:
        """The code's CPU time."""
        return 1000 * float(self.run(TIMED.format(code=code)).stdout.split()[-1])


def main() -> None:
    console = terminal.console()
    build()
    template = yaml.safe_load((BUILT / "template.yaml").read_text(encoding="utf-8"))
    functions = [it["Properties"] for it in template["Resources"].values() if it["Type"] == "AWS::Serverless::Function"]
    environment = _environment([template["Globals"]["Function"], *functions])
    table = Table("function", "clients", title="CPU time of a cold start in ms", title_justify="left")
    for heading in ("baseline", "function", "ratio", "without byte code"):
        table.add_column(heading, justify="right")
    table.add_column("largest parts")
    with tempfile.TemporaryDirectory() as folder:
        compiled = Package(_unpack(Path(folder) / "compiled"), environment)
        compileall.compile_dir(compiled.folder, quiet=2)
        plain = Package(_unpack(Path(folder) / "plain"), environment)
        for function in track(functions, "measuring", console=console, transient=True):
            table.add_row(*_measure(function["Handler"].rpartition(".")[0], compiled, plain))
        size = Path(shutil.make_archive(f"{folder}/package", "zip", plain.folder)).stat().st_size
    console.print(table)
    console.print(f"Package: {size / 2**20:.1f} MiB zipped, without byte code")


def _environment(functions: list[Mapping[str, Any]]) -> dict[str, str]:
    """The variables that functions get from the template, with values good enough to import them."""
    variables = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "us-east-1"}
    for function in functions:
        for name, value in function.get("Environment", {}).get("Variables", {}).items():
            variables[name] = value if isinstance(value, str) else "value"
    variables.pop("POWERTOOLS_LOG_LEVEL", None)  # "value" isn't a level
    return variables


def _unpack(folder: Path) -> Path:
    """Write the package to a folder as `sam build` does, without byte code."""
    (packages,), (code,) = BUILT.glob("*.packages"), BUILT.glob("*.zip")
    shutil.copytree(packages, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(code) as archive:
        archive.extractall(folder)
    (folder / "bootstrap").unlink()  # for the emulator only
    return folder


def _measure(module: str, compiled: Package, plain: Package) -> tuple[str, ...]:
    """The table's row for a handler's module: median times and the median ratio."""
    services = sorted(compiled.run(SERVICES.format(module=module)).stdout.split())
    # A function without clients is compared with one client, DynamoDB's.
    clients = [f"boto3.client({service!r})" for service in services or ["dynamodb"]]
    baseline, function = "\n".join(["import boto3", *clients]), f"import {module}"
    pairs = [(compiled.milliseconds(baseline), compiled.milliseconds(function)) for _ in range(TURNS)]
    parts = _import_times(compiled, module).most_common(4)
    return (
        module.partition(".")[0],
        ", ".join(services) or "none",
        f"{median(first for first, _ in pairs):.0f}",
        f"{median(second for _, second in pairs):.0f}",
        f"{median(second / first for first, second in pairs):.2f}",
        f"{median(plain.milliseconds(function) for _ in range(TURNS)):.0f}",
        "\n".join(f"{part} {microseconds / 1000:.0f}" for part, microseconds in parts),
    )


def _import_times(package: Package, module: str) -> Counter[str]:
    """Microseconds of importing by top-level package. The handler's module includes building its clients."""
    report = package.run(f"import {module}", "-X", "importtime").stderr
    parts: Counter[str] = Counter()
    for line in IMPORT_TIME.finditer(report):
        name = line["module"].partition(".")[0]
        if line["module"] == module:
            name = "handler and clients"
        elif name == module.partition(".")[0]:
            name = "onboarding"
        elif {name, name.lstrip("_")} & sys.stdlib_module_names:
            name = "standard library"
        parts[name] += int(line["own"])
    return parts


if __name__ == "__main__":
    main()
