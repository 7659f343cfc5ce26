"""`make rehearse` walks each way through the state machines on AWS's own engine, without a deployment.

It needs credentials that may call states:TestState, and changes nothing: all services are mocked.
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.machine.environment import forget_aws

# TestState's throttle is not documented.
PATIENT = Config(retries={"mode": "adaptive", "max_attempts": 20})


def main() -> None:
    try:
        client = boto3.Session().client("stepfunctions", config=PATIENT)
        forget_aws()
        # The functions that answer in this process make their sessions now, and must not find the account.
        from tests.rehearsal.ways import show  # noqa: PLC0415

        sys.exit(show(client))
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"TestState can't be asked: {error}")


if __name__ == "__main__":
    main()
