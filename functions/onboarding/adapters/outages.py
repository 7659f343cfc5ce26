"""Which failed calls of AWS are outages, so that a later one may succeed."""

from http import HTTPStatus

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own

# What a call raises if AWS refuses it, or can't be reached.
FAILURES = (ClientError, ConnectionError, HTTPClientError)

# DynamoDB's names for it. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_THROTTLES = {"ProvisionedThroughputExceededException", "RequestLimitExceeded"}


def is_transient(error: ClientError | ConnectionError | HTTPClientError) -> bool:
    """Whether AWS throttles, fails or is unreachable; else the fault is ours, such as a missing permission."""
    if not isinstance(error, ClientError):
        return True
    status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return "Throttl" in code or code in _THROTTLES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
