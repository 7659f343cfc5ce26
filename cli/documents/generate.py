"""`make docs` writes the generated files. A test compares each entry of `GENERATED` with its file."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cli import PROJECT
from cli.documents import compatibility, cost, event_contracts
from cli.documents.downstream_contract import downstream_contract
from cli.documents.openapi import openapi
from cli.documents.workflow_picture import mermaid
from onboarding.domain.fraud import RULES

DOCS = PROJECT / "docs"
DEFINITIONS = [PROJECT / "statemachine" / f"customer_{name}.asl.yaml" for name in ("onboarding", "erasure")]


def pictures() -> str:
    return "\n".join(f"```mermaid\n{mermaid(it.read_text(encoding='utf-8'))}```\n" for it in DEFINITIONS)


def fraud_rules() -> str:
    rows = (f"| `{rule.name}` | {rule.weight} | {rule.message} |\n" for rule in RULES.values())
    return "| rule | weight | applies when |\n|---|---|---|\n" + "".join(rows)


def between_markers(path: Path, render: Callable[[], str]) -> str:
    """The page, with the generated part between its markers replaced."""
    markers = re.compile(r"(<!-- begin: [^\n]+ -->\n).*?(<!-- end -->)", re.DOTALL)
    text, found = markers.subn(lambda it: it[1] + render() + it[2], path.read_text(encoding="utf-8"))
    if found != 1:
        raise ValueError(f"{path.name} must have exactly one <!-- begin: … --> followed by <!-- end -->")
    return text


GENERATED: Mapping[Path, Callable[[], str]] = {
    DOCS / "workflow.md": partial(between_markers, DOCS / "workflow.md", pictures),
    DOCS / "cost.md": partial(between_markers, DOCS / "cost.md", cost.table),
    DOCS / "fraud.md": partial(between_markers, DOCS / "fraud.md", fraud_rules),
    DOCS / "events.md": partial(between_markers, DOCS / "events.md", event_contracts.tables),
    DOCS / "asyncapi.json": event_contracts.asyncapi,
    **event_contracts.schemas(),
    PROJECT / "registry.template.json": event_contracts.registry,
    DOCS / "openapi.json": openapi,
    DOCS / "downstream.openapi.json": downstream_contract,
}


def refuse_to_rewrite(texts: Mapping[Path, str]) -> None:
    """Exit if a released schema would change, and list all such changes."""
    contracts = [path for path in texts if path.parent == event_contracts.CONTRACTS and path.exists()]
    released = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in contracts}
    if reasons := list(compatibility.rewritten(released, {path.name: json.loads(texts[path]) for path in contracts})):
        changed = "\n".join(f"  {reason}" for reason in reasons)
        sys.exit(
            f"Nothing was written: these contracts are released, and consumers rely on them.\n{changed}\n"
            "If you only added optional fields, raise its VERSION in functions/onboarding/domain/events.py, and "
            "its schemaVersion in statemachine/. If that version isn't released yet, delete its file and run make docs "
            "again. Otherwise add a new event."
        )


def main() -> None:
    texts = {path: render() for path, render in GENERATED.items()}
    refuse_to_rewrite(texts)
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
