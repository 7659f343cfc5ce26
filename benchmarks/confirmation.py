"""`make waits` compares, on the emulator, onboardings that wait for the customer's confirmation with those that don't.

Where one waits, its time is counted from the confirmation. Only the ratio is comparable across machines.
"""

import json
import os
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx
from rich.progress import track

from cli import NotPossible, terminal
from cli.demo.run import CODE, PATIENCE_SECONDS, await_rest
from cli.machine import emulator
from cli.machine.deploy import EmulatorStack, deploy
from cli.machine.polling import back_off
from cli.machine.supervised_process import LOCK
from onboarding.domain.customer import CustomerData
from onboarding.domain.registration import Registration

TURNS = 11  # onboardings of each kind
AT_ONCE = 200
QUIET_SECONDS = 10


class Workflow:
    """The deployed state machine, with another EmailConfirmation."""

    def __init__(self, stack: EmulatorStack, confirmation: str) -> None:
        self.stack, self.sfn = stack, stack.session.client("stepfunctions")
        deployed = self.sfn.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])
        definition = json.loads(deployed["definition"])
        definition["States"]["CreateAccount"]["Arguments"]["Payload"]["emailConfirmation"] = confirmation
        self.arn = self.sfn.create_state_machine(
            name=confirmation, definition=json.dumps(definition), roleArn=deployed["roleArn"]
        )["stateMachineArn"]

    def start(self) -> str:
        """Start an onboarding; return its execution."""
        registration = Registration(
            timestamp=datetime.now(UTC),
            customer_id=(customer_id := str(uuid4())),
            correlation_id="benchmark",
            data=CustomerData(first_name="Ada", last_name="Lovelace", email=f"{customer_id}@example.com"),
            api_url=f"{self.stack.api_url}/api/customers",
        )
        body = registration.model_dump_json(by_alias=True, exclude_none=True)
        return self.sfn.start_execution(stateMachineArn=self.arn, name=customer_id, input=body)["executionArn"]

    def codes(self, executions: Collection[str]) -> dict[str, str]:
        """Wait until each customer was asked; return the codes."""
        customers = {execution.rpartition(":")[2] for execution in executions}
        for _ in back_off(PATIENCE_SECONDS):
            found = filter(None, (CODE.search(mail["BodyText"]) for mail in self.stack.emulator.mails()))
            codes = {it["customer"]: it["code"] for it in found if it["customer"] in customers}
            if codes.keys() == customers:
                return codes
        raise NotPossible("Not all customers were asked to confirm.")

    def confirm(self, codes: dict[str, str]) -> datetime:
        """Confirm with each code; return when the first was about to."""
        began, url = datetime.now(UTC), f"{self.stack.api_url}/api/customers"
        for customer_id, code in codes.items():
            path = f"{url}/{customer_id}/email-confirmation"
            httpx.post(path, json={"code": code}, trust_env=False, timeout=PATIENCE_SECONDS).raise_for_status()
        return began

    def onboarded(self, execution: str) -> datetime:
        """Wait until the customer is onboarded; return when that was."""
        for _ in back_off(PATIENCE_SECONDS):
            found = self.sfn.describe_execution(executionArn=execution)
            if json.loads(found.get("output", "{}")).get("status") == "ONBOARDED":
                return found["stopDate"]
        raise NotPossible(f"A customer is not onboarded: {execution}")


def quiet(emulator_pid: int) -> tuple[float, float]:
    """In QUIET_SECONDS, the CPU seconds of the emulator with its functions; and the MiB of the emulator itself."""

    def used() -> tuple[float, float]:
        cpu = memory = 0.0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
                if int(fields[2]) == emulator_pid:  # its process group
                    cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                if stat.parent.name == str(emulator_pid):
                    memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cpu, memory

    before, _ = used()
    time.sleep(QUIET_SECONDS)
    after, memory = used()
    return after - before, memory


def main() -> None:
    console = terminal.console()
    with emulator.start() as aws:
        stack = deploy(aws)
        emulator_pid = int((aws.folder / LOCK).read_text(encoding="utf-8"))
        without, asking = (Workflow(stack, confirmation) for confirmation in ("none", "required"))
        times = []
        for _ in track(range(TURNS), "in turns", console=console):
            began, first = datetime.now(UTC), without.start()
            took = without.onboarded(first) - began
            second = asking.start()
            confirmed = asking.confirm(asking.codes([second]))
            times.append((took.total_seconds(), (asking.onboarded(second) - confirmed).total_seconds()))
        await_rest(stack)
        nobody = quiet(emulator_pid)
        waiting = [asking.start() for _ in track(range(AT_ONCE), "at once", console=console)]
        codes = asking.codes(waiting)
        await_rest(stack)
        many = quiet(emulator_pid)
        asking.confirm(codes)
        for execution in waiting:
            asking.onboarded(execution)
    ratio = median(second / first for first, second in times)
    seconds = [f"{median(it):.2f}" for it in zip(*times, strict=True)]
    rows = [
        (f"seconds to onboard (with: once confirmed), median of {TURNS}", *seconds, f"x {ratio:.2f}"),
        (f"CPU seconds in {QUIET_SECONDS} s", *(f"{cpu:.2f}" for cpu, _ in (nobody, many)), f"{AT_ONCE} wait"),
        (
            "MiB of the emulator",
            *(f"{memory:.0f}" for _, memory in (nobody, many)),
            f"{AT_ONCE} wait, then all are onboarded",
        ),
    ]
    title = "Onboardings without a confirmation, and with one"
    console.print(terminal.listing("", "without", "with", " ", rows=rows, right=("without", "with"), title=title))


if __name__ == "__main__":
    main()
