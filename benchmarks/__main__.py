"""Prints each function's cold start beside the bare way, where its time goes, and the package's size."""

from __future__ import annotations

import compileall
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.progress import track
from rich.table import Table

from benchmarks.cold_start import ColdStart, Package, measure, where_the_time_goes
from cli import terminal
from cli.machine.build import BUILT, LIBRARY, build

MEBIBYTE = 1024 * 1024
TURNS = 11  # measurements of each


def main() -> None:
    console = terminal.console()
    build()
    template = yaml.safe_load((BUILT / "template.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for compiled in (True, False):
            package = _unpack(Path(folder) / str(compiled), _environment(template), compiled=compiled)
            modules = [handler.rpartition(".")[0] for handler in _handlers(template)]
            starts = [
                measure(package, module, TURNS)
                for module in track(modules, "measuring", console=console, transient=True)
            ]
            console.print(_table(starts, "with byte code" if compiled else "without byte code, as sam build leaves it"))
            if compiled:
                console.print(_parts(package, modules))
            else:
                console.print(f"The package: {_zipped_size(package.folder) / MEBIBYTE:.1f} MiB zipped")


def _handlers(template: Mapping[str, Any]) -> Iterator[str]:
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            yield resource["Properties"]["Handler"]


def _environment(template: Mapping[str, Any]) -> dict[str, str]:
    """Every variable that a function gets from the template, with a value that serves to import it."""
    functions = [template["Globals"]["Function"]]
    functions += [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]
    variables: dict[str, Any] = {}
    for function in functions:
        variables |= function.get("Environment", {}).get("Variables", {})
    aws = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "us-east-1"}
    written = {name: value if isinstance(value, str) else "value" for name, value in variables.items()}
    return aws | {name: value for name, value in written.items() if name != "POWERTOOLS_LOG_LEVEL"}


def _unpack(folder: Path, environment: Mapping[str, str], *, compiled: bool) -> Package:
    (packages,), (code,) = BUILT.glob("*.packages"), BUILT.glob("*.zip")
    shutil.copytree(packages, folder)
    with zipfile.ZipFile(code) as archive:
        archive.extractall(folder)
    compileall.compile_dir(folder, quiet=2)
    (folder / "bootstrap").unlink()  # the emulator's alone
    if not compiled:
        for cache in list(folder.rglob("__pycache__")):
            shutil.rmtree(cache)
    return Package(folder, LIBRARY, environment)


def _zipped_size(folder: Path) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        return Path(shutil.make_archive(f"{temporary}/package", "zip", folder)).stat().st_size


def _table(starts: list[ColdStart], title: str) -> Table:
    table = Table("function", "clients", title=f"CPU time of a cold start, {title}", title_justify="left")
    for heading in ("bare", "function", "ratio"):
        table.add_column(heading, justify="right")
    for start in starts:
        table.add_row(
            start.module.partition(".")[0],
            ", ".join(start.services) or "none",
            f"{start.bare * 1000:.0f} ms",
            f"{start.function * 1000:.0f} ms",
            f"{start.ratio:.2f}",
        )
    return table


def _parts(package: Package, modules: list[str]) -> Table:
    table = Table("function", "where the time goes, ms of importing", title_justify="left")
    for module in modules:
        parts = where_the_time_goes(package, module).most_common(7)
        texts = [f"{part} {microseconds / 1000:.0f}" for part, microseconds in parts]
        table.add_row(module.partition(".")[0], ", ".join(texts))
    return table


if __name__ == "__main__":
    main()
