"""The downstream systems' OpenAPI document: downstream.openapi.yaml with the models' schemas."""

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from cli.documents import examples
from cli.documents.schemas import NoNulls, as_text, document
from onboarding.adapters.downstream.http import ApiKey
from onboarding.domain.customer import SENT_DOWNSTREAM, CustomerData
from onboarding.domain.models import CustomerId
from onboarding.domain.tasks import Account


def downstream_contract() -> str:
    made = document("downstream.openapi.yaml", ACCOUNT=json.dumps(examples.account()))
    components = made["components"]
    components["schemas"] = _schemas() | components["schemas"]
    components["securitySchemes"]["apiKey"]["name"] = ApiKey.model_fields["header"].default
    return as_text(made)


def _schemas() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(Account, "serialization")],
        ref_template="#/components/schemas/{model}",
        schema_generator=NoNulls,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    for kept in CustomerData.model_fields.keys() - SENT_DOWNSTREAM:
        del schemas["Account"]["properties"][to_camel(kept)]
    # The models describe what customers type; here it is already validated and normalised.
    schemas["Account"]["properties"]["phone"]["description"] = "E.164"
    schemas["Address"]["description"] = "A postal address, with the fields that its country uses."
    schemas["Address"]["required"] = ["street", "country"]
    return schemas | {"CustomerId": TypeAdapter(CustomerId).json_schema()}
