"""`python -m cli.machine.mailbox_simulator` runs ministack, and in it SES's mailbox simulator.

ministack's SES takes e-mails, and its event destinations report nothing. This reports on e-mails to the simulator's
addresses what SES does, to the default bus of EventBridge.
https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
https://docs.aws.amazon.com/ses/latest/dg/monitoring-eventbridge.html
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from ministack.app import main  # type: ignore[import-untyped]
from ministack.services import eventbridge, ses_v2  # type: ignore[import-untyped]

DOMAIN = "simulator.amazonses.com"
_Answer = tuple[int, dict[str, str], bytes]
_answered_by_ministack = ses_v2.handle_request


async def handle_request(method: str, path: str, headers: object, body: bytes, query: object) -> _Answer:
    """Answer as ministack does, then report on an e-mail that it took."""
    answer: _Answer = await _answered_by_ministack(method, path, headers, body, query)
    status, _, said = answer
    if path.endswith("/outbound-emails") and status == HTTPStatus.OK:
        entries = list(reports(json.loads(body), json.loads(said)["MessageId"]))
        eventbridge._put_events({"Entries": entries}, allow_aws_source=True)  # noqa: SLF001 - as its own services do
    return answer


def reports(sent: dict[str, Any], message_id: str) -> Iterator[dict[str, str]]:
    """The entries for PutEvents on an e-mail, as SendEmail got it; none if it isn't to the simulator."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    tags = {tag["Name"]: [tag["Value"]] for tag in sent.get("EmailTags", [])}
    tags["ses:configuration-set"] = [sent.get("ConfigurationSetName", "")]
    bounce = {"bounceType": "Permanent", "bounceSubType": "General", "timestamp": now}
    complaint = {"complaintSubType": None, "complaintFeedbackType": "abuse", "timestamp": now}
    of_mailbox: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "bounce": [("Email Bounced", {"eventType": "Bounce", "bounce": bounce})],
        "complaint": [("Email Complaint Received", {"eventType": "Complaint", "complaint": complaint})],
    }
    for address in sent.get("Destination", {}).get("ToAddresses", []):
        name, _, domain = address.lower().partition("@")
        mail = {"timestamp": now, "messageId": message_id, "destination": [address], "tags": tags}
        happened = [("Email Sent", {"eventType": "Send", "send": {}}), *of_mailbox.get(name.partition("+")[0], [])]
        for detail_type, detail in happened if domain == DOMAIN else ():
            yield {"Source": "aws.ses", "DetailType": detail_type, "Detail": json.dumps({"mail": mail, **detail})}


if __name__ == "__main__":
    ses_v2.handle_request = handle_request
    main()
