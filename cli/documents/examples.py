"""The customer of all examples, with every field: made of the examples of the form's fields."""

from typing import Any

from onboarding.domain.customer import RegistrationForm
from onboarding.domain.tasks import Account
from onboarding.domain.validation import validate


def registration() -> dict[str, Any]:
    """A body of `POST /api/customers`."""
    schema = RegistrationForm.model_json_schema()
    return _example(schema, schema)


def account() -> dict[str, Any]:
    """What the downstream systems get of that customer."""
    customer = validate(RegistrationForm.model_validate(registration()).customer())
    return Account(account_id="0b9a1f5e-7a0d-4a1e-8f57-6a0c2f1d9e33", **customer.model_dump()).as_sent()


def _example(model: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    made = {}
    for name, field in model["properties"].items():
        models = [kind["$ref"].rpartition("/")[2] for kind in field.get("anyOf", ()) if "$ref" in kind]
        if not models and "examples" not in field:
            raise ValueError(f"functions/onboarding/domain/customer.py: give {name} an example in its form")
        made[name] = _example(schema["$defs"][models[0]], schema) if models else field["examples"][0]
    return made
