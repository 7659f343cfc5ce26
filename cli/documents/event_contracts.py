"""The published contract of the events: JSON Schemas, an AsyncAPI document, a page, a template of a schema registry.

All of it is made of the models in onboarding/domain/events.py.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cli import PROJECT
from cli.documents.schemas import NoNulls, as_text
from onboarding.domain.events import EVENTS, SOURCE, Event
from onboarding.domain.models import PERSONAL

CONTRACTS = PROJECT / "contracts"
DIALECT = NoNulls.schema_dialect
PAGE = """\
# Events

The workflow and its consumers publish these on the custom event bus of the stack (output `EventBusName`), with the
`source` `{source}`. To build on them, write a rule on that bus; nobody needs to be asked.
[examples/consumer](../examples/consumer/README.md) is an application that does just that.

Each `detail` has a JSON Schema in [contracts/](../contracts), and [asyncapi.json](asyncapi.json) describes
them all. Fields marked **personal** are a customer's personal data: don't log them, and keep no more of them than you
need.

Every event is delivered at least once, in no particular order. `metadata.eventId` is the same each time, so drop what
you have seen; `metadata.occurredAt` tells the order. Ignore fields that you don't know: a later minor version may have
more.
{events}"""


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's detail, as a consumer may rely on it."""
    made = event.model_json_schema(mode="validation", schema_generator=NoNulls)
    made["description"] = " ".join(made["description"].split())
    major = event.VERSION.partition(".")[0]
    metadata = made["$defs"]["Metadata"]["properties"]
    metadata["schemaVersion"]["pattern"] = rf"^{major}\.[0-9]+$"
    for definition in made["$defs"].values():
        definition.pop("title", None)
    return {"$schema": DIALECT, "$id": f"{event.__name__}-{event.VERSION}.json", **made}


def path_of(event: type[Event]) -> Path:
    """Where the schema of the event's version is published."""
    return CONTRACTS / f"{event.__name__}-{event.VERSION}.json"


def schemas() -> Mapping[Path, Callable[[], str]]:
    """The schema of each event's present version, by its path; those of earlier versions stay as they are."""
    return {path_of(event): partial(as_text, schema(event)) for event in EVENTS.values()}


def asyncapi() -> str:
    """The AsyncAPI document: one channel, the bus, with a message for each event.

    https://www.asyncapi.com/docs/reference/specification/v3.0.0
    """
    messages = {
        name: {
            "name": name,
            "title": name,
            "summary": schema(event)["description"],
            "contentType": "application/json",
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-07",
                "schema": {
                    "type": "object",
                    "required": ["id", "source", "detail-type", "time", "detail"],
                    "properties": {
                        "id": {"type": "string"},
                        "source": {"const": SOURCE},
                        "detail-type": {"const": name},
                        "time": {"type": "string", "format": "date-time"},
                        "detail": {"$ref": f"../contracts/{path_of(event).name}"},
                    },
                },
            },
        }
        for name, event in EVENTS.items()
    }
    return as_text(
        {
            "asyncapi": "3.0.0",
            "info": {
                "title": "Customer onboarding events",
                "version": "1.0.0",
                "description": "What happens while a customer is onboarded, as EventBridge delivers it.",
            },
            "defaultContentType": "application/json",
            "channels": {
                "eventBus": {
                    "address": None,
                    "description": "The custom event bus: the stack's output EventBusName.",
                    "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                }
            },
            "operations": {
                "publish": {
                    "action": "send",
                    "channel": {"$ref": "#/channels/eventBus"},
                    "summary": "What the workflow and its consumers publish.",
                    "messages": [{"$ref": f"#/channels/eventBus/messages/{name}"} for name in messages],
                }
            },
            "components": {"messages": messages},
        }
    )


def page() -> str:
    """The events for people: what each means, and its fields."""
    sections = []
    for name, event in EVENTS.items():
        made = schema(event)
        rows = "\n".join(_rows(made, made, ""))
        link = f"../contracts/{path_of(event).name}"
        sections.append(
            f"\n## {name}\n\n{made['description']} ([version {event.VERSION}]({link}))\n\n"
            f"| field | type | |\n|---|---|---|\n{rows}\n"
        )
    return PAGE.format(source=SOURCE, events="".join(sections))


def registry() -> str:
    """The template of the EventBridge schema registry, for those who generate code from it.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema.html
    """
    resources: dict[str, Any] = {
        "Registry": {
            "Type": "AWS::EventSchemas::Registry",
            "Properties": {
                "RegistryName": {"Ref": "RegistryName"},
                "Description": "The events of customer onboarding",
            },
        }
    }
    for name, event in EVENTS.items():
        made = schema(event)
        content = {key: value for key, value in made.items() if key not in {"$schema", "$id"}}
        resources[f"{name}Schema"] = {
            "Type": "AWS::EventSchemas::Schema",
            "Properties": {
                "RegistryName": {"Fn::GetAtt": ["Registry", "RegistryName"]},
                "SchemaName": f"{SOURCE}@{name}",
                "Type": "JSONSchemaDraft4",
                "Description": made["description"][:256],
                # Draft 4 knows no const; an enum of one says the same.
                "Content": json.dumps(_draft_4(content), ensure_ascii=False),
            },
        }
    return as_text(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "The schemas of the events, generated by `make docs`",
            "Parameters": {"RegistryName": {"Type": "String"}},
            "Resources": resources,
        }
    )


def _draft_4(node: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, dict):
        draft = {"definitions" if key == "$defs" else key: _draft_4(value) for key, value in node.items()}
        if "const" in draft:
            draft["enum"] = [draft.pop("const")]
        if str(draft.get("$ref", "")).startswith("#/$defs/"):
            draft["$ref"] = draft["$ref"].replace("#/$defs/", "#/definitions/")
        return draft
    return [_draft_4(item) for item in node] if isinstance(node, list) else node


def _rows(made: dict[str, Any], node: dict[str, Any], prefix: str) -> list[str]:
    rows = []
    for name, field in node.get("properties", {}).items():
        target = _target(made, field)
        optional = "" if name in node.get("required", ()) else ", optional"
        item = _target(made, target["items"]) if target.get("type") == "array" else target
        remarks = [field.get("description", ""), "**personal**" if field.get(PERSONAL) else ""]
        described = ". ".join(filter(None, remarks))
        rows.append(f"| `{prefix}{name}` | {_type(target, item)}{optional} | {described} |")
        if "properties" in item:
            dots = "[]." if target.get("type") == "array" else "."
            rows += _rows(made, item, f"{prefix}{name}{dots}")
    return rows


def _type(field: dict[str, Any], item: dict[str, Any]) -> str:
    if field.get("type") == "array":
        return f"array of {_type(item, item)}"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    return str(field.get("format") or field["type"])


def _target(made: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    return dict(made["$defs"][field["$ref"].rpartition("/")[2]]) if "$ref" in field else field
