"""The page on fraud detection, whose table is made of the rules themselves."""

from onboarding.domain.fraud import RULES

PAGE = """\
# Fraud detection

The consumer `detect_fraud` looks at each `CustomerValidated`, adds up the weights of the rules that apply, and
publishes `CustomerFraudSuspected`, with the score and the reasons, where the score reaches `FRAUD_THRESHOLD` (in its
block of `template.yaml`). It touches nothing of the workflow: the customer is onboarded meanwhile, and whoever
subscribes to the event decides what to do.

| rule | weight | applies when |
|---|---|---|
{rows}

## Add a rule

Write a function in `functions/onboarding/domain/fraud.py` that takes a `CustomerData` and returns whether the rule
applies, with its weight and its message in `@rule`. A rule that counts returns the `Burst` that it looks for: the
value, how many customers are too many, and within which time. Then `make docs` writes this page anew.

## What is kept

Of a customer, what the rules found, and of each value that is counted a SHA-256 digest: nothing that was typed. A
digest is a pseudonym, no more: who guesses a phone number can make the same one. So everything expires after 15 days:
the longest window, and the 14 days that a message may wait in the dead-letter queue.

Events may come late, twice and in any order. A customer's place is the time of its validation: for a burst those count
who stand before it and within the window. One who comes late takes its place, and those behind it, for whom it may be
the one too many, are looked at anew. A suspicion that is published again has the same `eventId`.
"""


def fraud_rules() -> str:
    rows = (f"| `{rule.name}` | {rule.weight} | {rule.message} |" for rule in RULES.values())
    return PAGE.format(rows="\n".join(rows))
