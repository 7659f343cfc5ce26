"""Walks one way through a state machine, each state by Step Functions' own engine: TestState, with mocks.

https://docs.aws.amazon.com/step-functions/latest/dg/test-state-isolation.html
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.outages import attempts_of, retrier_for, waits_of
from tests.deployed.engine.matrix import Row
from tests.deployed.engine.world import FAILING_SYSTEM, PUBLISHED, WAITS, in_one_system
from tests.in_process import aws
from tests.wiring.calls import answer
from tests.wiring.definition import AWAIT, INVOKE, PUT_EVENTS, UPDATE_ITEM, WAY_BACK, Machine, State
from tests.wiring.expressions import EvaluationFailed, evaluate
from tests.wiring.rules.errors import errors_of
from tests.wiring.rules.publications import breaches, entries
from tests.wiring.rules.retries import OUTCOMES, RIDDEN_OUT, WAITED_FOR
from tests.wiring.walk import ENTERED_TIME, TOKEN, Visit, calls_of, cause_of

REFUSALS = {"InvalidDefinition", "InvalidExecutionInput", "ValidationException"}
# What Step Functions sees of a function that exits or hangs, and of a service whose answer is lost.
EXITED, HUNG, LOST = "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"

Answer = dict[str, Any]
Attempt = Callable[..., Answer]


class DifferenceFound(Exception):
    """The engine does something else than the tests expect."""


class NotWalkable(Exception):
    """Nobody has said what a service answers."""


class Engine:
    """Asks TestState about the states of a machine, each distinct question once."""

    def __init__(self, client: Any, machine: Machine) -> None:
        self._client = client
        self._definition = json.dumps(machine)
        self.answers: dict[str, Answer] = {}
        self.compared: set[tuple[str, str]] = set()  # the retriers whose waits were compared, with their states

    def ask(self, state: str, given: Any, variables: Mapping[str, Any], **mock: Any) -> Answer:
        """The answer about a state. Raises `DifferenceFound` if the engine refuses the definition."""
        question = {"stateName": state, "input": json.dumps(given), "variables": json.dumps(variables), **mock}
        key = json.dumps(question)
        if key not in self.answers:
            try:
                self.answers[key] = self._client.test_state(
                    definition=self._definition, inspectionLevel="DEBUG", **question
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in REFUSALS:
                    raise
                raise DifferenceFound(f"{state}: {error}") from None
        return self.answers[key]


class Walker:
    """Walks the way of a row of the failure matrix, and compares it with what the row expects.

    `facts` are values by name: a field of that name, in a payload or an event, must have that value.
    """

    def __init__(self, engine: Engine, machine: Machine, row: Row, given: Mapping[str, Any]) -> None:
        self._engine, self._machine, self._row, self._given = engine, machine, row, given
        self._faults = row.faults | ({row.way.fails: [f"raise {row.way.by}"]} if row.way.taken else {})
        if row.way.asks:
            self._faults["CreateAccount"] = ["raise EmailNotConfirmed"]
        self._facts = {name: given[name] for name in ("customerId", "correlationId")}
        if "data" in given:
            self._facts |= {"customerData": given["data"], "registeredAt": given["timestamp"]}
        self._visits: tuple[Visit, ...] = ()

    def walk(self) -> None:
        """Walk to the end. Raises `DifferenceFound` or `NotWalkable`."""
        try:
            self._compare(*self._run(self._machine, self._given, {}))
        except EvaluationFailed as failure:
            raise DifferenceFound(str(failure)) from None

    def _run(self, machine: Machine, given: Any, variables: Mapping[str, Any]) -> tuple[str, Answer]:
        """The last state of a machine, and the answer about it."""
        name, path = machine["StartAt"], list[str]()
        while True:
            if (name in path and (path[-1], name) != WAY_BACK) or name not in machine["States"]:
                raise DifferenceFound(f"the way leads to {name}, which is no state, or a second time")
            path.append(name)
            state = machine["States"][name]
            match state["Type"]:
                case "Task":
                    answer = self._task(name, state, given, variables)
                case "Map":
                    answer = self._map(name, state, given, variables)
                case _:
                    answer = self._engine.ask(name, given, variables)
            if "nextState" not in answer:
                return name, answer
            variables = json.loads(answer["inspectionData"].get("variables", "{}"))
            name, given = answer["nextState"], json.loads(answer["output"])

    def _task(self, name: str, state: State, given: Any, variables: Mapping[str, Any]) -> Answer:
        """The answer about a task's last try."""
        states = {"input": given, "context": self._context(name)}
        visit = Visit((name,), state, evaluate(state.get("Arguments", {}), states, variables))

        def attempt(mock: Mapping[str, Any], retries: int = 0, **configured: Any) -> Answer:
            context = json.dumps(self._context(name, retries))
            answer = self._engine.ask(name, given, variables, context=context, mock=mock, **configured)
            arguments = answer["inspectionData"].get("afterArguments")
            if arguments is None or json.loads(arguments) != visit.arguments:
                instead = arguments or f"{answer.get('error')}: {answer.get('cause')}"
                raise DifferenceFound(f"{name}: the arguments are {instead}, not {visit.arguments}")
            return answer

        self._check(visit)
        retries = Counter[str]()
        for error, tries in groupby(self._planned(name, state)):
            answer = self._fail(visit, error, attempt, retries, for_good=len(list(tries)) > 1)
            if answer["status"] != "RETRIABLE":
                return answer
        try:
            result = self._result(visit)
        except NotWalkable:
            raise
        except Exception as error:  # noqa: BLE001 - all that a function raises
            return self._fail(visit, type(error).__name__, attempt, retries, for_good=True)
        # In Lambda's own API, the Payload is a text; what comes with a token has any form.
        mode = "NONE" if state["Resource"] in {INVOKE, AWAIT} else "STRICT"
        answer = attempt({"result": json.dumps(result), "fieldValidationMode": mode})
        if answer["status"] != "SUCCEEDED":
            raise DifferenceFound(f"{name}: {answer['status']}, {answer.get('error')}: {answer.get('cause')}")
        self._visits += (visit,)
        return answer

    def _planned(self, name: str, state: State) -> Iterator[str]:
        """The errors that the task's tries meet; a Map's task meets them at its first item."""
        for fault in self._faults.pop(in_one_system(name), []):
            match fault.removeprefix("work, ").removeprefix("confirm, ").removeprefix("then ").split():
                case ["raise", error]:
                    yield error
                case ["hang"]:
                    yield HUNG
                case ["exit", *_]:
                    yield EXITED if state["Resource"] in {INVOKE, AWAIT} else LOST

    def _fail(self, visit: Visit, error: str, attempt: Attempt, retries: Counter[str], *, for_good: bool) -> Answer:
        """The answer about an error; about the last one, if it comes until the retries are used up."""
        name, state, failed = visit.name, visit.state, replace(visit, error=error)
        retrier = retrier_for(state, error) or {"MaxAttempts": 0}
        most, which, answer = attempts_of(retrier), str(retrier), Answer()
        counts = [retries[which]]
        if for_good:
            is_new = (name, which) not in self._engine.compared
            self._engine.compared.add((name, which))
            counts = sorted({0, 1, most - 1, most} if is_new and most else {0, most})
        waits = WAITED_FOR.get((name, error), waits_of(retrier))
        caught = {each for catcher in state.get("Catch", []) for each in catcher["ErrorEquals"]}
        outcomes = errors_of(state) | (caught & OUTCOMES.get(state["Resource"], set()))
        is_retried = error not in outcomes or (name, error) in RIDDEN_OUT.keys() | WAITED_FOR
        for count in counts:
            mock = {"errorOutput": {"error": error, "cause": cause_of(failed)}}
            answer = attempt(mock, count, stateConfiguration={"retrierRetryCount": count})
            if answer.get("error") != error:
                raise DifferenceFound(f"{name}: {error} became {answer.get('error')}: {answer.get('cause')}")
            if (answer["status"] == "RETRIABLE") != (is_retried and count < max(most, 1)):
                raise DifferenceFound(f"{name}: {error} is {answer['status']} after {count} retries")
            if answer["status"] == "RETRIABLE" and count < 2:  # LocalStack knows no cap, which comes later
                details = answer["inspectionData"]["errorDetails"]
                wait = details["retryBackoffIntervalSeconds"]
                fits = 0 <= wait <= waits[count] if "JitterStrategy" in retrier else wait == waits[count]
                if state["Retry"][details["retryIndex"]] != retrier or not fits:
                    raise DifferenceFound(f"{name}: {error} is retried as {details}, not after {waits[count]:g} s")
        retries[which] += 1
        self._visits += (failed,) * (answer["status"] != "RETRIABLE")
        return answer

    def _result(self, visit: Visit) -> Any:
        """What a task gets. Raises what its function raises, or `NotWalkable`."""
        resource = visit.state["Resource"]
        if resource == PUT_EVENTS:
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "event"} for _ in entries(visit)]}
        if resource not in {INVOKE, AWAIT, UPDATE_ITEM}:
            raise NotWalkable(f"not walked: nobody has said what {resource} answers {visit.name}")
        with redirect_stdout(StringIO()):  # the functions' logs
            result = answer(calls_of((*self._visits, visit)))
        if resource != INVOKE:
            return {} if resource == AWAIT else result
        if isinstance(result, dict) and "system" not in visit.arguments["Payload"]:
            self._facts |= result.get("customerData", {}) | result
        return {"StatusCode": 200, "Payload": result}

    def _map(self, name: str, state: State, given: Any, variables: Mapping[str, Any]) -> Answer:
        """The answer about a Map: each item's iteration is walked first, up to one that fails."""
        context, outputs = json.dumps(self._context(name)), []
        for item in evaluate(state["Items"], {"input": given}, variables):
            last, answer = self._run(state["ItemProcessor"], item, variables)
            if answer["status"] == "FAILED":
                mock = {"errorOutput": {"error": answer["error"], "cause": answer["cause"]}}
                cause = {"errorCausedByState": last}
                return self._engine.ask(name, given, variables, context=context, mock=mock, stateConfiguration=cause)
            outputs.append(json.loads(answer["output"]))
        return self._engine.ask(name, given, variables, context=context, mock={"result": json.dumps(outputs)})

    def _check(self, visit: Visit) -> None:
        """Compare what a task sends with the facts, and an event with its contract."""
        for entry in entries(visit):
            for breach in breaches(visit.name, entry, self._given):
                raise DifferenceFound(breach)
        sent = [visit.arguments.get("Payload", {}), *(entry["Detail"] for entry in entries(visit))]
        while sent:
            for name, value in sent.pop().items():
                if value != self._facts.get(name, value):
                    raise DifferenceFound(f"{visit.name}: {name} is {value}, not {self._facts[name]}")
                sent += [value] if isinstance(value, dict) else []

    def _compare(self, last: str, answer: Answer) -> None:
        """Compare the end of the way, and what was done on it, with what the row expects."""
        way, failed_at, done = self._row.way, self._row.failed_at, [it for it in self._visits if not it.error]
        tasks = list(way.tasks[: way.tasks.index(failed_at.name) + 1] if failed_at else way.tasks)
        if way.asks:  # CreateAccount comes before the wait too
            asked = tasks.index(WAITS[0]) if WAITS[0] in tasks else len(tasks)
            tasks = [*tasks[:asked], "CreateAccount", *(task for task in tasks[asked:] if task != "CreateAccount")]
        succeeding = [task for task in tasks if task not in {way.fails, failed_at and failed_at.name}]
        output = dict(way.output) | {it: self._facts[it] for it in ("customerId", "accountId") if it in self._facts}
        end: tuple[object, ...] = (way.end, "SUCCEEDED", output) if way.output else (way.end, "FAILED", way.end)
        if failed_at:
            end = (failed_at.entered, "FAILED", self._row.failure.error)
        ended = json.loads(answer["output"]) if "output" in answer else answer["error"]
        published = [PUBLISHED[task] for task in succeeding if task in PUBLISHED]
        served = [(task, system) for task in succeeding if task in FAILING_SYSTEM for system in aws.SYSTEMS]
        comparisons: tuple[tuple[str, object, object], ...] = (
            ("it ends as", (last, answer["status"], ended), end),
            ("its tasks are", list(dict.fromkeys(it.name for it in self._visits)), tasks),
            ("its events are", [entry["DetailType"] for entry in entries(*done)], published),
            (
                "it serves",
                [(it.name, it.arguments["Payload"]["system"]) for it in done if it.name in FAILING_SYSTEM],
                served,
            ),
        )
        for what, found, expected in comparisons:
            if found != expected:
                raise DifferenceFound(f"{what} {found}, not {expected}")

    def _context(self, name: str, retries: int = 0) -> dict[str, Any]:
        """The context object at a state, as a whole: LocalStack takes no less."""
        customer_id, arn = self._given["customerId"], "arn:aws:states:us-east-1:123456789012"
        return {
            "Execution": {
                "Id": f"{arn}:execution:onboarding:{customer_id}",
                "Input": self._given,
                "Name": customer_id,
                "RoleArn": "arn:aws:iam::123456789012:role/onboarding",
                "StartTime": ENTERED_TIME,
            },
            "State": {"EnteredTime": ENTERED_TIME, "Name": name, "RetryCount": retries},
            "StateMachine": {"Id": f"{arn}:stateMachine:onboarding", "Name": "onboarding"},
            "Task": {"Token": TOKEN},
        }
