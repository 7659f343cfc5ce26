"""`sam build` for this machine, its result kept until an input of it changes."""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from py_compile import PycInvalidationMode

import yaml

from local import PROJECT, WORKSPACE, runtime
from local.sam import sam

INPUTS = ("template.yaml", "samconfig.toml", "functions", "statemachine", "events/registry.template.json")
BUILT = WORKSPACE / "build"
LIBRARY = WORKSPACE / "runtime"

# The template's parameters that say for which Python and processor to build.
TARGET = {
    "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
    "Architecture": "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64",
}


def build() -> bool:
    """Build what `sam deploy` needs into `BUILT`; False where it was there already.

    template.yaml is what `sam build` wrote; beside it are each function folder as a zip file,
    fit for the emulator, and each definition of a state machine as JSON.
    """
    WORKSPACE.mkdir(exist_ok=True)
    stamp = BUILT / "inputs"
    with (WORKSPACE / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a demo and the tests may start together
        digest = digest_of(PROJECT / name for name in INPUTS)
        if stamp.is_file() and stamp.read_text() == digest:
            return False
        build_functions(PROJECT / "template.yaml", BUILT)
        for definition in (PROJECT / "statemachine").glob("*.yaml"):
            rendered = json.dumps(yaml.safe_load(definition.read_text()), indent=2)
            (BUILT / f"{definition.stem}.json").write_text(rendered)
        stamp.write_text(digest)
    return True


def build_functions(template: Path, built: Path) -> None:
    """`sam build` any template into a folder, each function's code as a zip file that runs in the emulator."""
    WORKSPACE.mkdir(exist_ok=True)
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
    runtime.assemble(LIBRARY)
    for package in (folder for folder in built.iterdir() if folder.is_dir()):
        if not (package / "template.yaml").exists():  # a nested stack's
            _finish(package)


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 of these files and folders, of the Python that builds, and of how it is run here."""
    digest = hashlib.sha256()
    for part in (sys.version, str(TARGET), runtime.bootstrap(LIBRARY)):
        digest.update(part.encode() + b"\0")
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix != ".pyc":
                content = hashlib.sha256(file.read_bytes()).digest()
                digest.update(str(file.relative_to(path.parent)).encode() + b"\0" + content)
    return digest.hexdigest()


def _finish(package: Path) -> None:
    """Make a function's folder run in the emulator, and a zip file that is uploaded as it is."""
    start = package / "bootstrap"
    start.write_text(runtime.bootstrap(LIBRARY))
    start.chmod(0o755)
    # Unpacking changes the files' times, so only bytecode that is never compared with them serves;
    # without it all functions would compile the same packages at once when they start.
    compileall.compile_dir(package, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    shutil.make_archive(str(package), "zip", package)
    shutil.rmtree(package)
