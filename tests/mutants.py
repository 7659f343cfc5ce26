"""Plant each fault that tests/README.md lists in a copy of the checkout, and see which test finds it."""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

MUTANT = re.compile(r"^### (\S+)\n.*?Found by `([^`]+)`.*?^```diff\n--- (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)


def failing(tests: list[str], path: str = "", diff: str = "") -> str:
    """Run tests in a copy of what Git tracks, with a diff in one file; return the test that fails, or NOT and why."""
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        tracked = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, encoding="utf-8").stdout
        files = filter(Path.is_file, map(Path, tracked.split("\0")))
        subprocess.run(["cp", "--parents", "--preserve", *files, folder], check=True)
        for link in (".venv", ".git"):  # tests start the one's tools, and read the other
            (copy / link).symlink_to(Path(link).resolve())
        if path:
            before, after = ("".join(re.findall(rf"^[ {sign}](.*\n)", diff, re.MULTILINE)) for sign in "-+")
            text = (copy / path).read_text(encoding="utf-8")
            if text.count(before) != 1:
                return f"NOT PLANTED: its lines are {text.count(before)} times in {path}"
            (copy / path).write_text(text.replace(before, after), encoding="utf-8")
        pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *tests]
        ran = subprocess.run(pytest, cwd=copy, check=False, capture_output=True, encoding="utf-8")
    found = FAILED.search(ran.stdout)
    return found[1] if found else f"NOT RUN: {ran.stdout}{ran.stderr}" if ran.returncode else "NOT FOUND"


def main() -> None:
    """Print of each fault its name, seconds, and the test that finds it, which must pass without it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="faults of the list; all by default")
    parser.add_argument("--tests", nargs="+", help="run these, not those that the list says")
    parser.add_argument("--list", type=Path, default=Path("tests/README.md"))
    chosen = parser.parse_args()
    listed = chosen.list.read_text(encoding="utf-8")
    mutants = {name: mutant for name, *mutant in MUTANT.findall(listed)}
    assert len(mutants) == listed.count("```diff\n"), "a fault has no name of its own, no tests or no file"
    results = []
    for name in chosen.names or mutants:
        tests, *change = mutants[name]
        begun = time.monotonic()
        results.append(failing(chosen.tests or tests.split(), *change))
        sys.stdout.write(f"{name:32}{time.monotonic() - begun:4.0f} s  {results[-1]}\n")
        sys.stdout.flush()
    found = [it for it in results if not it.startswith("NOT ")]
    without = failing(found) if found else ""
    sys.exit(f"Without a fault: {without}" if found and without != "NOT FOUND" else len(found) < len(results))


if __name__ == "__main__":
    main()
