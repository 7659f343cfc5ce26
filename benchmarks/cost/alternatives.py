"""The same registration done otherwise: what it would bill, derived from what was measured, by stated assumptions.

Each model takes the functions' measured work as it is: the domain would be the same. What differs is what joins it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.cost.bill import REQUESTS_PER_MESSAGE, around, function_units, units, works
from benchmarks.cost.bill import added as together
from benchmarks.cost.measurement import Measurement, Registration, Work
from benchmarks.cost.prices import Unit, Units

# A function that publishes, or changes one item, waits for it this long. An assumption: about 10 ms within a region.
CALL_SECONDS = 0.01
EXPRESS_MEMORY_MB = 64  # 50 MB, the definition and its data, billed in chunks of 64 MB
EXPRESS_STEP_SECONDS = 0.1  # a duration is billed in these
EXPRESS_LIMIT_SECONDS = 300
REQUESTS_PER_RETRY = 2  # to receive a message once more, after its visibility was changed

START, REGISTER = "StartOnboardingFunction", "RegisterCustomerFunction"
CONSUMERS = frozenset({"TrackOnboardingFunction", "DetectFraudFunction", "RecordAnalyticsFunction"})
IN_A_MAP = ("ProvisionAccountFunction", "DeprovisionAccountFunction")
SEND = "SendWelcomeEmailFunction"


@dataclass(frozen=True)
class Alternative:
    """A way to do it; `units` is None where it can't do this kind of registration. `assumptions` are Markdown."""

    name: str
    assumptions: str
    units: Callable[[Registration, Measurement], Units | None]


def _standard(registration: Registration, measurement: Measurement) -> Units:
    return units(registration, measurement)


def _express(registration: Registration, measurement: Measurement) -> Units | None:
    """The same but for the workflow's own price, and a lock in place of the execution's name."""
    return None if retries_of_mail(registration) else _unlimited_express(registration, measurement)


def _unlimited_express(registration: Registration, measurement: Measurement) -> Units:
    standard: Units = {
        unit: number for unit, number in units(registration, measurement).items() if unit != Unit.TRANSITION
    }
    steps = math.ceil(round(registration.seconds / EXPRESS_STEP_SECONDS, 6))
    return together(
        standard,
        {
            Unit.EXPRESS_REQUEST: 1,
            Unit.EXPRESS_GB_SECOND: steps * EXPRESS_STEP_SECONDS * EXPRESS_MEMORY_MB / 1024,
            Unit.WRITE: 1,
        },
    )


def _express_and_a_queue(registration: Registration, measurement: Measurement) -> Units | None:
    """An Express workflow that ends before the e-mail, which the function sends from a queue of its own."""
    retries = retries_of_mail(registration)
    mail = REQUESTS_PER_MESSAGE if SEND in registration.functions else 0
    return together(
        _unlimited_express(registration, measurement), {Unit.SQS_REQUEST: mail + REQUESTS_PER_RETRY * retries}
    )


def _choreography(registration: Registration, measurement: Measurement) -> Units:
    functions = works(registration)
    steps = {name: work for name, work in functions.items() if name not in CONSUMERS | {START, REGISTER}}
    native = registration.native_writes  # ActivateAccount becomes a function
    iterations = sum(steps[name].invocations for name in IN_A_MAP if name in steps)
    retries = retries_of_mail(registration)
    # Functions that are called by an event, retries apart: each has a rule and a queue.
    called = sum(work.invocations for work in steps.values()) + native - retries
    # Handovers that the definition makes and nobody publishes: to the systems or to activate, from each system, and
    # to compensate.
    handovers = float("CreateAccountFunction" in steps and not _ends_at_account(registration)) + iterations
    handovers += float("DeprovisionAccountFunction" in steps)
    messages = called + sum(number for name, number in registration.messages.items() if name != START)
    events = registration.events + handovers
    activation = Work(
        invocations=native, seconds=native * 2 * CALL_SECONDS, log_lines=native, log_bytes=native * 650, writes=native
    )
    return together(
        *(function_units(name, work, measurement) for name, work in functions.items() if name != START),
        function_units(START, activation, measurement),
        around(registration),
        {
            Unit.LAMBDA_GB_SECOND: _gb_seconds(events * CALL_SECONDS, measurement),
            Unit.EVENT: handovers,
            Unit.SQS_REQUEST: REQUESTS_PER_MESSAGE * messages + registration.commands + REQUESTS_PER_RETRY * retries,
            Unit.WRITE: iterations,
        },
    )


def _one_function(registration: Registration, measurement: Measurement) -> Units:
    functions = works(registration)
    steps = {name: work for name, work in functions.items() if name not in CONSUMERS | {START, REGISTER}}
    around_it = {name: work for name, work in functions.items() if name not in steps and name != START}
    retries = retries_of_mail(registration)
    once = sum(
        work.seconds / work.invocations * (1 if name == SEND else work.invocations) for name, work in steps.items()
    )
    calls = registration.events + registration.native_writes
    all_of_it = Work(
        invocations=1 + retries,
        seconds=(once + calls * CALL_SECONDS) * (1 + retries),
        log_lines=sum(work.log_lines for work in steps.values()),
        log_bytes=sum(work.log_bytes for work in steps.values()),
        writes=sum(work.writes for work in steps.values()) + registration.native_writes,
        reads=sum(work.reads for work in steps.values()),
    )
    return together(
        *(function_units(name, work, measurement) for name, work in around_it.items()),
        function_units(START, all_of_it, measurement),
        around(registration),
        {
            Unit.SQS_REQUEST: REQUESTS_PER_MESSAGE * sum(registration.messages.values())
            + registration.commands
            + REQUESTS_PER_RETRY * retries
        },
    )


def retries_of_mail(registration: Registration) -> float:
    """How often the e-mail was tried again."""
    return max(0, registration.transitions.get("SendWelcomeEmail", 0) - 1)


def _ends_at_account(registration: Registration) -> bool:
    return "PublishCustomerAccountCreationFailed" in registration.transitions


def _gb_seconds(seconds: float, measurement: Measurement) -> float:
    return seconds * measurement.memory[START] / 1024


_MS = f"{CALL_SECONDS * 1000:.0f} ms"
STANDARD = Alternative("Standard workflow", "What is deployed, as it was counted.", _standard)
EXPRESS = Alternative(
    "Express workflow",
    f"""\
- The same definition and functions, the measured duration in steps of 100 ms, and {EXPRESS_MEMORY_MB} MB.
- One conditional write for each registration, since a name no longer makes a start unique.
- It runs for {EXPRESS_LIMIT_SECONDS} s at most: an outage that lasts longer fails the registration for good.""",
    _express,
)
EXPRESS_AND_A_QUEUE = Alternative(
    "Express, e-mail from a queue",
    """\
- The Express workflow ends with CustomerAccountCreated; send_welcome_email reads a queue of its own, and publishes what
  it did.
- A retry of the e-mail is one more receive, one change of the message's visibility, and one more invocation. The queue
  keeps a message for up to 14 days.""",
    _express_and_a_queue,
)
CHOREOGRAPHY = Alternative(
    "Choreography",
    f"""\
- Each function is called by an event, through a rule and a queue of its own ({REQUESTS_PER_MESSAGE} SQS requests), and
  publishes what it did; a call to publish takes {_MS} of its time.
- What the definition hands over silently becomes an event: that an account waits to be provisioned, each system's
  answer, that it is to be undone.
- Activating the account is one more function; each answer of a system is one more write, to know when all have come.
- register_customer publishes CustomerRegistered itself: there is neither the registration queue nor start_onboarding.
- A retry of the e-mail is one more receive, one change of the message's visibility, and one more invocation.
- Consumers, the functions' logs and e-mails are the same; there is no workflow's log.""",
    _choreography,
)
ONE_FUNCTION = Alternative(
    "One function",
    f"""\
- One function behind the registration queue does all steps in sequence, for the sum of their measured times, and {_MS}
  for each publication and for the activation.
- A retry of the e-mail runs all of it again: the steps before find their work done.""",
    _one_function,
)
ALTERNATIVES = (STANDARD, EXPRESS, EXPRESS_AND_A_QUEUE, CHOREOGRAPHY, ONE_FUNCTION)


def bills(registration: Registration, measurement: Measurement) -> Mapping[str, Units | None]:
    """The units of a registration by each alternative's name."""
    return {each.name: each.units(registration, measurement) for each in ALTERNATIVES}
