"""The downstream systems' OpenAPI document: downstream.openapi.yaml with the models' schemas."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from cli.documents.schemas import NoNulls, as_text
from onboarding.adapters.downstream.http import ApiKey
from onboarding.domain.models import CustomerId
from onboarding.domain.tasks import Account

SOURCE = Path(__file__).with_name("downstream.openapi.yaml")


def downstream_contract() -> str:
    document = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    components = document["components"]
    components["schemas"] = _schemas() | components["schemas"]
    components["securitySchemes"]["apiKey"]["name"] = ApiKey.model_fields["header"].default
    return as_text(document)


def _schemas() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(Account, "serialization")],
        ref_template="#/components/schemas/{model}",
        schema_generator=NoNulls,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    # The models describe what customers type; here it is already validated and normalised.
    schemas["Account"]["properties"]["phone"]["description"] = "E.164"
    schemas["Address"]["description"] = "A postal address, with the fields that its country uses."
    schemas["Address"]["required"] = ["street", "country"]
    return schemas | {"CustomerId": TypeAdapter(CustomerId).json_schema()}
