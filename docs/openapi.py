"""The API's OpenAPI document, from the models that the API parses and answers with."""

import json
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from onboarding.acceptance import Accepted
from onboarding.api import IDEMPOTENCY_KEY, MAX_BODY_BYTES, Problem
from onboarding.models import Address, CustomerData

REFUSALS = {
    HTTPStatus.BAD_REQUEST: "The registration is not valid; `errors` names each wrong field.",
    HTTPStatus.CONFLICT: "The first request with this Idempotency-Key is in progress.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body is larger than {MAX_BODY_BYTES} bytes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The Content-Type isn't application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used with another registration.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests.",
    HTTPStatus.SERVICE_UNAVAILABLE: "It is not known whether the registration was accepted.",
}
TRY_AGAIN = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
STRICT = (CustomerData.__name__, Address.__name__)


class Untitled(GenerateJsonSchema):
    """JSON Schema without the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's signature
        return False


def openapi() -> str:
    """The document as JSON."""
    return json.dumps(_document(), indent=2, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Customer onboarding",
            "version": "1.0.0",
            "summary": "Registers customers. A registration is accepted at once and onboarded in the background.",
            "license": {"name": "MIT No Attribution", "identifier": "MIT-0"},
        },
        "servers": [
            {
                "url": "https://{apiId}.execute-api.{region}.amazonaws.com/v1",
                "variables": {"apiId": {"default": "api"}, "region": {"default": "us-east-1"}},
            }
        ],
        "security": [],
        "paths": {"/api/customers": {"post": _register_customer()}},
        "components": {"schemas": _schemas()},
    }


def _register_customer() -> dict[str, Any]:
    return {
        "operationId": "registerCustomer",
        "summary": "Register a customer",
        "description": "Checks shape, types and sizes. The business rules are checked in the background.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Unique to this registration, a UUID for example. Sent again within 24 hours, with the "
                "same registration, it gets the same answer and registers nobody twice.",
                "schema": {
                    "type": "string",
                    "pattern": IDEMPOTENCY_KEY,
                    "examples": ["b7c2f7a4-6f0e-4d1c-9d0b-3f5a8c1e2d4f"],
                },
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/CustomerData"},
                    "example": {
                        "firstName": "Ada",
                        "lastName": "Lovelace",
                        "email": "ada@example.com",
                        "phone": "020 7946 0958",
                        "address": {
                            "street": "12 St James's Square",
                            "city": "London",
                            "postalCode": "SW1Y 4JH",
                            "country": "GB",
                        },
                    },
                }
            },
        },
        "responses": {
            str(HTTPStatus.ACCEPTED.value): {
                "description": "The registration is accepted.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
            }
        }
        | {str(status.value): _refusal(status) for status in REFUSALS},
    }


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    refusal: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in TRY_AGAIN:
        seconds = {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
        refusal["headers"] = {"Retry-After": seconds}
    return refusal


def _schemas() -> dict[str, Any]:
    taken: JsonSchemaMode = "validation"
    given: JsonSchemaMode = "serialization"
    _, definitions = models_json_schema(
        [(CustomerData, taken), (Accepted, given), (Problem, given)],
        ref_template="#/components/schemas/{model}",
        schema_generator=Untitled,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    for name in STRICT:  # the API refuses what it doesn't know
        schemas[name]["additionalProperties"] = False
    return schemas
