"""Which failed calls of AWS are outages, so that a later one may succeed."""

from http import HTTPStatus

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own


def is_transient(error: ClientError | ConnectionError | HTTPClientError) -> bool:
    """Whether AWS throttles, fails or is unreachable; else the fault is ours, such as a missing permission."""
    if not isinstance(error, ClientError):
        return True
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "Throttl" in error.response["Error"]["Code"] or status >= HTTPStatus.INTERNAL_SERVER_ERROR
