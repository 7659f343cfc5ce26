"""The API's OpenAPI document: openapi.yaml with the models' schemas."""

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from cli.documents import examples
from cli.documents.schemas import NoTitles, as_text, document
from onboarding.domain.analytics import Analytics
from onboarding.domain.confirmation import Code, Resent
from onboarding.domain.customer import AddressForm, RegistrationForm
from onboarding.domain.models import CustomerId
from onboarding.domain.registration import Accepted
from onboarding.domain.status import Onboarding
from onboarding.runtime.api import IDEMPOTENCY_KEY, MAX_BODY_BYTES, MAX_DAYS, Problem


def openapi() -> str:
    made = document(
        "openapi.yaml",
        IDEMPOTENCY_KEY=IDEMPOTENCY_KEY,
        MAX_BODY_BYTES=MAX_BODY_BYTES,
        MAX_DAYS=MAX_DAYS,
        REGISTRATION=json.dumps(examples.registration()),
        CUSTOMER_ID=TypeAdapter(CustomerId).json_schema()["pattern"],
    )
    made["components"]["schemas"] = _schemas()
    return as_text(made)


def _schemas() -> dict[str, Any]:
    taken: JsonSchemaMode = "validation"
    given: JsonSchemaMode = "serialization"
    _, definitions = models_json_schema(
        [
            *((model, taken) for model in (RegistrationForm, Code)),
            *((model, given) for model in (Accepted, Onboarding, Resent, Analytics, Problem)),
        ],
        ref_template="#/components/schemas/{model}",
        schema_generator=NoTitles,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    for strict in (RegistrationForm, AddressForm, Code):  # the API rejects unknown fields
        schemas[strict.__name__]["additionalProperties"] = False
    # API Gateway's own errors have it in the status line only.
    schemas[Problem.__name__]["required"].remove("status")
    return schemas
