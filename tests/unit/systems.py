"""Downstream systems as an operator configures them: settings in Parameter Store, credentials in Secrets Manager."""

from functools import cache
from typing import Any

from onboarding.adapters import downstream
from onboarding.runtime import aws
from tests.in_process.template import reference_to
from tests.invocations import as_text
from tests.unit.deployment import ACCOUNT, REGION, Functions

PREFIX = f"/{reference_to('AWS::StackName')}/downstream/"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/ledger.fifo"
QUEUE_SETTINGS = {"kind": "sqs", "queueUrl": QUEUE_URL}
API_KEY = "k3y-0f-the-crm"
make_client = cache(aws.client)
CLIENT = {"clientId": "onboarding", "clientSecret": "s3cr3t/of+the crm"}


def by_api_key(url: str, **changes: Any) -> dict[str, Any]:
    """Settings of a system at that URL that takes an API key."""
    return {"kind": "http", "url": url, "authentication": {"type": "apiKey"}} | changes


def by_token(url: str, **changes: Any) -> dict[str, Any]:
    """Settings of a system that takes access tokens, and grants them itself."""
    return by_api_key(url, authentication={"type": "oauth2", "tokenUrl": f"{url}/token"} | changes)


class Systems:
    """The systems that the functions find configured; nothing of them is cached yet."""

    def __init__(self, functions: Functions) -> None:
        for name in ("provision_account", "deprovision_account"):
            vars(functions[name])["systems"] = downstream.Systems(PREFIX, make_client)
        self._ssm = make_client("ssm")
        self._secrets = make_client("secretsmanager")

    def configure(self, system: str, settings: object, secret: object = None) -> None:
        """Write the settings, and the credentials where there are any; text as it is, anything else as JSON."""
        name = f"{PREFIX}{system}"
        self._ssm.put_parameter(Name=name, Value=as_text(settings), Type="String", Overwrite=True)
        if secret:
            self._secrets.create_secret(Name=name, SecretString=as_text(secret))

    def rotate(self, system: str, secret: object) -> None:
        self._secrets.put_secret_value(SecretId=f"{PREFIX}{system}", SecretString=as_text(secret))
