"""`sam build` for this machine, repeated only when its inputs change.

The code in `functions/` goes into a small zip file; the packages it requires stay in a folder that every worker uses.
"""

import compileall
import hashlib
import io
import platform
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from cli import PROJECT, WORKSPACE
from cli.machine import runtime
from cli.machine.lock import locked
from cli.machine.sam import sam

# `sam build` only copies the other files of functions/.
INPUTS = ("template.yaml", "samconfig.toml", "functions/requirements.txt", "registry.template.json")
# A demo and the tests may build at the same time.
LOCK = WORKSPACE / "build.lock"
BUILT = WORKSPACE / "build"
LIBRARY = WORKSPACE / "runtime"
PACKAGES = WORKSPACE / "packages"

# How a template names its Python and processor, and what this machine's are called.
PROCESSOR = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
TARGET = {
    r"Runtime: python3\.\d+": f"Runtime: python3.{sys.version_info.minor}",
    r"Architectures: \[\w+\]": f"Architectures: [{PROCESSOR}]",
}


def build() -> bool:
    """Build the template and the functions' zip files into `BUILT`; False if `sam build` had nothing to do."""
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
    """`sam build` any template into a folder, with zip files of its functions for the emulator."""
    with locked(LOCK):
        runtime.assemble(LIBRARY)
        _sam_build(template, built)


def _sam_build(template: Path, built: Path) -> None:
    here = _retarget(template, built.with_suffix(".source"))
    shutil.rmtree(built, ignore_errors=True)
    sam(
        "build",
        *("--template-file", str(here)),
        *("--build-dir", str(built)),
        *("--cached", "--cache-dir", str(WORKSPACE / "cache")),
        directory=WORKSPACE,  # SAM CLI caches downloaded packages here
        environment={},
    )
    for folder in [folder for folder in built.iterdir() if folder.is_dir()]:
        if not (folder / "template.yaml").exists():  # a nested stack's
            packages = _keep_packages(folder)
            _zip(folder, packages, folder.with_suffix(".zip"))
            shutil.rmtree(folder)
            folder.with_suffix(".packages").symlink_to(packages)


def _retarget(template: Path, folder: Path) -> Path:
    """The template for this machine's Python and processor, in a folder with links to the files beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in template.parent.glob("[!.]*"):
        (folder / path.name).symlink_to(path)
    text = template.read_text(encoding="utf-8")
    for pattern, replacement in TARGET.items():
        text = re.sub(pattern, replacement, text)
    here = folder / "here.yaml"
    here.write_text(text, encoding="utf-8")
    return here


def _digest(files: Iterable[Path]) -> str:
    """SHA-256 of these files, and of the Python that builds and runs them."""
    parts = [sys.version, TARGET, runtime.bootstrap(PACKAGES, LIBRARY), *(file.read_bytes() for file in files)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _keep_packages(folder: Path) -> Path:
    """Move the packages out of a function's folder, and return their new folder.

    It never changes, since a running emulator may use it: other packages get another folder.
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
    """Zip a function's code and its bootstrap script: the same bytes for the same code.

    Not its byte code, which another process may be writing, under a temporary name.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(it for it in code.rglob("*") if it.is_file() and it.parent.name != "__pycache__"):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(code))), file.read_bytes())
        start = zipfile.ZipInfo("bootstrap")
        start.external_attr = 0o755 << 16
        archive.writestr(start, runtime.bootstrap(packages, LIBRARY))
    if not target.exists() or target.read_bytes() != content.getvalue():
        # Atomic: another deployment may be reading it.
        new = target.with_suffix(".new")
        new.write_bytes(content.getvalue())
        new.replace(target)
