"""Fetches the analytics from a stack's API, which takes signed requests."""

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


def fetch(session: boto3.Session, api_url: str, first: date | None = None, last: date | None = None) -> Analytics:
    """Request the analytics of a period, signed with the session's credentials. Raises `NotPossible`."""
    query = {name: str(day) for name, day in (("from", first), ("to", last)) if day}
    credentials = session.get_credentials()
    if credentials is None:
        raise NotPossible("No AWS credentials found: sign in first")
    request = AWSRequest("GET", f"{api_url}/api/analytics/onboarding", params=query)
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", session.region_name).add_auth(request)
    prepared = request.prepare()
    is_local = httpx.URL(api_url).host == HOST  # the user's proxy can't reach it
    try:
        headers = dict(prepared.headers.items())
        answer = httpx.get(prepared.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not is_local)
    except httpx.HTTPError as error:
        raise NotPossible(f"Can't reach {api_url}: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise NotPossible(f"{api_url} answered {answer.status_code}: {answer.text}")
    return Analytics.model_validate_json(answer.content)
