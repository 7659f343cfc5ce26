"""Downstream systems as an operator configures them: settings in Parameter Store, credentials in Secrets Manager."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.deployment import ACCOUNT, REFERENCES, REGION, Functions

PREFIX = f"/{REFERENCES['AWS::StackName']}/downstream/"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/ledger.fifo"
QUEUE_SETTINGS = {"kind": "sqs", "queueUrl": QUEUE_URL}
API_KEY = "k3y-0f-the-crm"
CLIENT = {"clientId": "onboarding", "clientSecret": "s3cr3t/of+the crm"}


def by_api_key(url: str, **changes: Any) -> dict[str, Any]:
    """Settings of a system at that URL that takes an API key."""
    return {"kind": "http", "url": url, "authentication": {"type": "apiKey"}} | changes


def by_token(url: str, **changes: Any) -> dict[str, Any]:
    """The same of one that takes access tokens, which it grants itself."""
    return by_api_key(url, authentication={"type": "oauth2", "tokenUrl": f"{url}/token"} | changes)


class Systems:
    """The systems that the functions find configured, which have cached none of it."""

    def __init__(self, functions: Functions) -> None:
        functions_of_systems = [functions["provision_account"], functions["deprovision_account"]]
        for function in functions_of_systems:
            function.settings.clear_cache()
            function.secrets.clear_cache()
        self._ssm = functions_of_systems[0].settings.client
        self._secrets = functions_of_systems[0].secrets.client

    def configure(self, system: str, settings: object, secret: object = None) -> None:
        """Write the settings, and the credentials where there are any; text goes as it is, all else as JSON."""
        name = f"{PREFIX}{system}"
        self._ssm.put_parameter(Name=name, Value=_text(settings), Type="String", Overwrite=True)
        if secret:
            self._secrets.create_secret(Name=name, SecretString=_text(secret))

    def rotate(self, system: str, secret: object) -> None:
        self._secrets.put_secret_value(SecretId=f"{PREFIX}{system}", SecretString=_text(secret))


def _text(document: object) -> str:
    return document if isinstance(document, str) else json.dumps(document)
