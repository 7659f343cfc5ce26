"""How the models become JSON Schema, the sources in this folder documents, and the documents text."""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class NoTitles(GenerateJsonSchema):
    """JSON Schema without the titles that repeat each field's name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - Pydantic's own
        return False


class NoNulls(NoTitles):
    """JSON Schema of what is sent: a field without a value is left out, never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def document(source: str, **constants: object) -> dict[str, Any]:
    """The YAML file beside this one, with the constants where it says `${NAME}`."""
    text = Path(__file__).with_name(source).read_text(encoding="utf-8")
    return dict(yaml.safe_load(Template(text).safe_substitute(constants)))  # safe: $ref is no constant


def as_text(document: Mapping[str, Any]) -> str:
    """The document as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
