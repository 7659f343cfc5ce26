"""Checks that readers of a released event can read the next version, and the other way round.

Within a version only annotations change. A new minor version may add optional fields. Anything else is a new event.
`python -m cli.documents.compatibility REVISION` compares the contracts with those of a Git revision.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import Version

from cli import PROJECT

FOLDER = "contracts"
# Keywords that don't constrain a value. https://json-schema.org/draft/2020-12/json-schema-validation#section-9
ANNOTATIONS = {"$id", "$comment", "title", "description", "examples", "deprecated", "x-personal-data"}

Schema = dict[str, Any]


class Change(NamedTuple):
    """A difference at a path in the event; with `is_addition`, readers of either schema can read the other."""

    path: str
    what: str
    is_addition: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def version_of(name: str) -> tuple[str, Version]:
    """The event and the version in a contract's file name, {event}-{major}.{minor}.json."""
    event, _, version = name.removesuffix(".json").rpartition("-")
    return event, Version(version)


def changes(old: Schema, new: Schema) -> Iterator[Change]:
    """Yield the differences between two schemas, apart from annotations."""
    yield from _changes(_resolved(old, old), _resolved(new, new), "")


def breaks(released: dict[str, Schema]) -> Iterator[str]:
    """Yield each change that a minor version may not make; the schemas are keyed by file name."""
    for one, other in pairwise(sorted(released, key=version_of)):
        (old_event, old), (event, new) = version_of(one), version_of(other)
        if old_event == event:
            if old.major != new.major:
                yield f"{other}: a new major version must be a new event, such as {event}V{new.major}"
            yield from (f"{other}: {it}" for it in changes(released[one], released[other]) if not it.is_addition)


def rewritten(released: dict[str, Schema], present: dict[str, Schema]) -> Iterator[str]:
    """Yield each change to a released schema."""
    for name, old in released.items():
        if name not in present:
            yield f"{name}: was released and is missing"
        else:
            yield from (f"{name}: {change}" for change in changes(old, present[name]))


def _changes(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in sorted(before.keys() | after.keys()):
        field = f"{path}.{name}".lstrip(".")
        required = name in old.get("required", ()), name in new.get("required", ())
        if name not in after:
            yield Change(field, "was removed")
        elif name not in before:
            yield Change(field, "is new and required" if required[1] else "is new", is_addition=not required[1])
        else:
            if required[0] != required[1]:
                yield Change(field, "is now required" if required[1] else "is now optional")
            yield from _changes(before[name], after[name], field)
    if "items" in old and "items" in new:
        yield from _changes(old["items"], new["items"], f"{path}[]")
    for keyword in sorted((old.keys() | new.keys()) - {"properties", "required", "items"}):
        if old.get(keyword) != new.get(keyword):
            yield Change(path or "the event", f"{keyword} was {old.get(keyword)} and is now {new.get(keyword)}")


def _resolved(schema: Schema, node: Any) -> Any:  # noqa: ANN401 - JSON
    """The node without annotations, and with its references resolved."""
    if isinstance(node, list):
        return [_resolved(schema, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] | {k: v for k, v in node.items() if k != "$ref"}
    plain = {key: value for key, value in node.items() if key not in {*ANNOTATIONS, "$defs"}}
    properties = {name: _resolved(schema, field) for name, field in plain.pop("properties", {}).items()}
    rest = {key: _resolved(schema, value) for key, value in plain.items()}
    return rest | {"properties": properties} if properties else rest


def _at(revision: str) -> dict[str, Schema]:
    """The contracts at a Git revision."""

    def git(*arguments: str) -> str:
        return subprocess.check_output(["git", *arguments], cwd=PROJECT, encoding="utf-8")

    paths = git("ls-tree", "--name-only", revision, f"{FOLDER}/").splitlines()
    return {Path(path).name: json.loads(git("show", f"{revision}:{path}")) for path in paths}


def main() -> None:
    present = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (PROJECT / FOLDER).glob("*.json")}
    try:
        before = _at(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # git has said why
    found = [*rewritten(before, present), *breaks(present)]
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
