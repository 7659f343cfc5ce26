"""Writes the files that are generated from the code: `python -m cli.documents.generate`.

A generated file is one entry in `GENERATED`; a test compares each of them with what its function returns.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli import PROJECT
from cli.documents import compatibility, event_contracts
from cli.documents.downstream_contract import downstream_contract
from cli.documents.fraud_rules import fraud_rules
from cli.documents.openapi import openapi
from cli.documents.workflow_picture import mermaid

DEFINITION = PROJECT / "statemachine" / "customer_onboarding.asl.yaml"


def readme() -> str:
    """The README as it is, around a new picture of the workflow."""
    begin, end = "<!-- begin: the workflow, by `make docs` -->\n", "<!-- end -->"
    before, _, rest = (PROJECT / "README.md").read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise ValueError(f"README.md must have a line {begin.strip()!r} and, after it, {end!r}")
    picture = mermaid(DEFINITION.read_text(encoding="utf-8"))
    return f"{before}{begin}```mermaid\n{picture}```\n{end}{after}"


GENERATED: Mapping[Path, Callable[[], str]] = {
    PROJECT / "README.md": readme,
    PROJECT / "docs" / "fraud.md": fraud_rules,
    PROJECT / "docs" / "events.md": event_contracts.page,
    PROJECT / "docs" / "asyncapi.json": event_contracts.asyncapi,
    **event_contracts.schemas(),
    PROJECT / "registry.template.json": event_contracts.registry,
    PROJECT / "docs" / "openapi.json": openapi,
    PROJECT / "docs" / "downstream.openapi.json": downstream_contract,
}


def refuse_to_rewrite(path: Path, text: str) -> None:
    """Exit where an event would no longer be what its released schema says."""
    released = json.loads(path.read_text(encoding="utf-8"))
    if changes := list(compatibility.changes(released, json.loads(text))):
        reasons = "\n".join(f"  {change}" for change in changes)
        sys.exit(
            f"{path.relative_to(PROJECT)} is released, and its readers rely on it:\n{reasons}\n"
            "With optional fields alone, count up the event's VERSION; with anything else, write a new event beside it."
        )


def main() -> None:
    for path, render in GENERATED.items():
        text = render()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if path.parent == event_contracts.CONTRACTS and path.exists():
            refuse_to_rewrite(path, text)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
