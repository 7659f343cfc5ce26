"""Where the analytics come from: the API of a stack, asked with a signed request."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cli import NotPossible
from cli.machine.environment import HOST
from onboarding.domain.analytics import Analytics

if TYPE_CHECKING:
    import boto3

TIMEOUT_SECONDS = 30


class NoAnalytics(NotPossible):
    """The API did not answer with analytics; the message has what it said."""


def fetch(session: boto3.Session, api_url: str, first: date | None = None, last: date | None = None) -> Analytics:
    """Ask `api_url` for the analytics of a period, in the name of the session's credentials.

    Raises:
        NoAnalytics: the API refused, or is out of reach.
    """
    query = {name: str(day) for name, day in (("from", first), ("to", last)) if day}
    credentials = session.get_credentials()
    if credentials is None:
        raise NoAnalytics("There are no AWS credentials: sign in first")
    request = AWSRequest("GET", f"{api_url}/api/analytics/onboarding", params=query)
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", session.region_name).add_auth(request)
    prepared = request.prepare()
    here = httpx.URL(api_url).host == HOST  # where no proxy of the user's leads to
    try:
        headers = dict(prepared.headers.items())
        answer = httpx.get(prepared.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not here)
    except httpx.HTTPError as error:
        raise NoAnalytics(f"{api_url} is out of reach: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise NoAnalytics(f"{api_url} answered {answer.status_code}: {answer.text}")
    return Analytics.model_validate_json(answer.content)
