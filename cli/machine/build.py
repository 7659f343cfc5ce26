"""`sam build` for this machine, its result kept until an input of it changes.

Of each function's folder, the code goes into a zip file of some hundred kilobytes, as it is in `functions/` now; the
packages that the code requires stay here, where each worker finds them.
"""

from __future__ import annotations

import compileall
import hashlib
import io
import platform
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

from cli import PROJECT, WORKSPACE
from cli.machine import runtime
from cli.machine.lock import locked
from cli.machine.sam import sam

# A change of any other file in functions/ needs no `sam build`: that only copies them.
INPUTS = ("template.yaml", "samconfig.toml", "functions/requirements.txt", "registry.template.json")
# Held by a build: a demo and the tests may start together.
LOCK = WORKSPACE / "build.lock"
BUILT = WORKSPACE / "build"
LIBRARY = WORKSPACE / "runtime"
PACKAGES = WORKSPACE / "packages"

# The template's parameters that say for which Python and processor to build.
TARGET = {
    "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
    "Architecture": "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64",
}


def build() -> bool:
    """Build what `sam deploy` needs into `BUILT`; False where `sam build` had nothing to do.

    template.yaml is what `sam build` wrote; beside it is each function folder as a zip file, fit for the emulator.
    """
    stamp = BUILT / "inputs"
    with locked(LOCK):
        digest = _digest(PROJECT / name for name in INPUTS)
        is_new = not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest
        if is_new:
            _sam_build(PROJECT / "template.yaml", BUILT)
            stamp.write_text(digest, encoding="utf-8")
        runtime.assemble(LIBRARY)
        for packages in BUILT.glob("*.packages"):
            _zip(PROJECT / "functions", packages.resolve(), packages.with_suffix(".zip"))
    return is_new


def build_functions(template: Path, built: Path) -> None:
    """`sam build` any template into a folder, each function's code as a zip file that runs in the emulator."""
    with locked(LOCK):
        runtime.assemble(LIBRARY)
        _sam_build(template, built)


def _sam_build(template: Path, built: Path) -> None:
    shutil.rmtree(built, ignore_errors=True)
    sam(
        "build",
        *("--template-file", str(template)),
        *("--build-dir", str(built)),
        *("--cached", "--cache-dir", str(WORKSPACE / "cache")),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in TARGET.items())),
        directory=WORKSPACE,  # in which SAM CLI keeps the packages it downloaded
        environment={},
    )
    for folder in [folder for folder in built.iterdir() if folder.is_dir()]:
        if not (folder / "template.yaml").exists():  # a nested stack's
            packages = _keep_packages(folder)
            _zip(folder, packages, folder.with_suffix(".zip"))
            shutil.rmtree(folder)
            folder.with_suffix(".packages").symlink_to(packages)


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 of these files, of the Python that builds, and of how it is run here."""
    parts = [sys.version, TARGET, runtime.bootstrap(PACKAGES, LIBRARY), *(file.read_bytes() for file in files)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _keep_packages(folder: Path) -> Path:
    """Move what is installed in a function's folder to where it stays, and return that folder.

    It never changes, since a running emulator may use it: other packages go into another one.
    """
    tops = {file.parts[0] for package in distributions(path=[str(folder)]) for file in package.files or ()}
    kept = PACKAGES / _digest(sorted(folder.glob("*.dist-info/RECORD")))[:16]
    moved = kept.with_suffix(".new")
    shutil.rmtree(moved, ignore_errors=True)
    moved.mkdir(parents=True)
    for path in list(folder.iterdir()):
        if path.name in tops:
            path.rename(moved / path.name)
    if kept.exists():
        shutil.rmtree(moved)
    else:
        compileall.compile_dir(moved, quiet=2)
        moved.rename(kept)
    return kept


def _zip(code: Path, packages: Path, target: Path) -> None:
    """Write a function's code, and how it is started here, to a zip file: the same bytes for the same code."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in _files(code):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(code))), file.read_bytes())
        start = zipfile.ZipInfo("bootstrap")
        start.external_attr = 0o755 << 16
        archive.writestr(start, runtime.bootstrap(packages, LIBRARY))
    if not target.exists() or target.read_bytes() != content.getvalue():
        # At once or not at all: another deployment may be reading it.
        new = target.with_suffix(".new")
        new.write_bytes(content.getvalue())
        new.replace(target)


def _files(folder: Path) -> Iterator[Path]:
    """The files in a folder, in order, but for what Python compiled."""
    return (file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".pyc")
