"""JSON Schemas of the models, and documents from this folder's YAML sources."""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


class NoTitles(GenerateJsonSchema):
    """JSON Schema without titles, which repeat each field's name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - Pydantic's signature
        return False


class NoNulls(NoTitles):
    """JSON Schema of payloads that leave out empty fields rather than send null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def document(source: str, **constants: object) -> dict[str, Any]:
    """Load a YAML file of this folder, with each `${NAME}` replaced by the constant."""
    text = Path(__file__).with_name(source).read_text(encoding="utf-8")
    return dict(yaml.safe_load(Template(text).safe_substitute(constants)))  # safe: $ref stays


def as_text(document: Mapping[str, Any]) -> str:
    """The document as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
