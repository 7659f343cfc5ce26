"""The events' JSON Schemas, AsyncAPI document, tables and schema registry, from onboarding/domain/events.py."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cli import PROJECT
from cli.documents.schemas import NoNulls, as_text, document
from onboarding.domain.events import EVENTS, SOURCE, CustomerValidated, Event
from onboarding.domain.models import PERSONAL

CONTRACTS = PROJECT / "contracts"


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's detail."""
    made = event.model_json_schema(mode="validation", schema_generator=NoNulls)
    made["description"] = " ".join(made["description"].split())
    major = event.VERSION.partition(".")[0]
    made["$defs"]["Metadata"]["properties"]["schemaVersion"]["pattern"] = rf"^{major}\.[0-9]+$"
    for definition in made["$defs"].values():
        definition.pop("title", None)
    return {"$schema": NoNulls.schema_dialect, "$id": path_of(event).name, **made}


def path_of(event: type[Event]) -> Path:
    """The file of the event's current schema."""
    return CONTRACTS / f"{event.__name__}-{event.VERSION}.json"


def schemas() -> Mapping[Path, Callable[[], str]]:
    """Each event's current schema, by its path; earlier versions stay as they are."""
    return {path_of(event): partial(as_text, schema(event)) for event in EVENTS.values()}


def asyncapi() -> str:
    """The AsyncAPI document: one channel, the bus, and a message for each event."""
    joined, *others = (_filled_in("asyncapi.yaml", event) for event in EVENTS.values())
    for other in others:
        joined["channels"]["eventBus"]["messages"] |= other["channels"]["eventBus"]["messages"]
        joined["operations"]["publish"]["messages"] += other["operations"]["publish"]["messages"]
        joined["components"]["messages"] |= other["components"]["messages"]
    return as_text(joined)


def tables() -> str:
    """The Markdown page: what each event means, and its fields. The fields that events share come first, once."""
    shared, validated = schema(Event), schema(CustomerValidated)
    sections = [
        f"The `source` of each is `{SOURCE}`. Every event has these fields:\n\n{_table(shared, shared)}",
        f"\nIn `customerData`, an event has these:\n\n{_table(validated, validated['$defs']['CustomerData'])}",
    ]
    for name, event in EVENTS.items():
        made = schema(event)
        own = {field: it for field, it in made["properties"].items() if field not in shared["properties"]}
        link = f"../contracts/{path_of(event).name}"
        sections.append(f"\n## {name}\n\n{made['description']} ([version {event.VERSION}]({link}))\n")
        if own:
            sections.append(f"\n{_table(made, made | {'properties': own})}")
    return "".join(sections)


def registry() -> str:
    """The EventBridge schema registry's template."""
    template, *others = (_filled_in("registry.template.yaml", event) for event in EVENTS.values())
    for other in others:
        template["Resources"] |= other["Resources"]
    return as_text(template)


def _filled_in(source: str, event: type[Event]) -> dict[str, Any]:
    """The source document for one event."""
    made = schema(event)
    # The registry takes at most 256 characters.
    texts = {"SUMMARY": made["description"][:256], "CONTENT": _draft_4(made)}
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in texts.items()}
    return document(source, EVENT=event.__name__, SOURCE=SOURCE, SCHEMA=path_of(event).name, **quoted)


def _draft_4(made: dict[str, Any]) -> str:
    """The schema in JSON Schema Draft 4, which has `definitions` for `$defs`, and no `const`."""

    def without_const(node: dict[str, Any]) -> dict[str, Any]:
        if "const" in node:
            node["enum"] = [node.pop("const")]
        return node

    content = {key: value for key, value in made.items() if key not in {"$schema", "$id"}}
    text = json.dumps(content).replace("$defs", "definitions")
    return json.dumps(json.loads(text, object_hook=without_const), ensure_ascii=False)


def _table(made: dict[str, Any], node: dict[str, Any]) -> str:
    return "| field | type | |\n|---|---|---|\n" + "".join(f"{row}\n" for row in _rows(made, node))


def _rows(made: dict[str, Any], node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, field in node.get("properties", {}).items():
        target = _target(made, field)
        item = _target(made, target.get("items", target))
        optional = "" if name in node.get("required", ()) else ", optional"
        remarks = [field.get("description", ""), "**personal**" if field.get(PERSONAL) else ""]
        yield f"| `{prefix}{name}` | {_type(target, item)}{optional} | {'. '.join(filter(None, remarks))} |"
        if name != "customerData":
            yield from _rows(made, item, f"{prefix}{name}[]." if "items" in target else f"{prefix}{name}.")


def _type(field: dict[str, Any], item: dict[str, Any]) -> str:
    if "items" in field:
        return f"array of {_type(item, item)}"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    return str(field.get("format") or field["type"])


def _target(made: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    return dict(made["$defs"][field["$ref"].rpartition("/")[2]]) if "$ref" in field else field
