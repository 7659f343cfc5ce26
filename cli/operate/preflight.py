"""What an AWS account needs for a deployment, and what to do where it lacks that."""

from collections.abc import Iterator

import boto3

# A new account may have only ten.
ENOUGH_CONCURRENCY = 100


def preflight(session: boto3.Session, sender: str) -> Iterator[tuple[bool, str, str]]:
    """Ask SES and Lambda; yield for each requirement whether it is met, what was found, and what to do if it isn't."""
    mail = session.client("sesv2")
    identities = mail.list_email_identities(PageSize=1000)["EmailIdentities"]
    verified = [it["IdentityName"] for it in identities if it["SendingEnabled"]]
    domain = f".{sender.rpartition('@')[2].lower()}"
    # A verified domain covers its subdomains and all their addresses.
    is_verified = any(name == sender or domain.endswith(f".{name}") for name in verified)
    verify = f"aws sesv2 create-email-identity --email-identity {sender} # then follow the link in the mail"
    yield is_verified, f"SES has {'' if is_verified else 'not '}verified {sender}", verify
    is_open = mail.get_account()["ProductionAccessEnabled"]
    ask = "ask for production access in SES's console; until then, recipients must be verified too"
    yield is_open, f"SES is {'out of' if is_open else 'in'} its sandbox", ask
    limit = session.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    more = "ask Service Quotas for 1,000 Concurrent executions (L-B99A9384)"
    yield limit >= ENOUGH_CONCURRENCY, f"Lambda runs {limit} functions at a time", more
