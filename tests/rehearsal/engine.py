"""Step Functions' TestState on this machine: LocalStack's, alone, on a free port of 127.0.0.1, which it prints.

It ends when its standard input does. It runs in an environment of its own (requirements-rehearsal.txt), with the last
LocalStack that takes Python 3.11. What that lacks is added:
- JSONata is evaluated by a library in Python, with Step Functions' `$parse`. LocalStack's is Java's, without it.
- An expression may read `$states` in brackets.
- A request brings variables, and what the state assigns is among those returned.
- An error that is mocked for DynamoDB keeps its name.
- An error that is mocked as States.Timeout is one, so States.TaskFailed leaves it out.

A retry isn't waited for, and a definition is parsed once: LocalStack parses it five times a request.
"""

import json
import logging
import re
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from antlr4 import RuleContext  # type: ignore[import-untyped]
from jsonata import Jsonata  # type: ignore[import-untyped]

# Java, and a service that no state here calls: LocalStack imports them all the same.
NOT_NEEDED = ("jpype", "jpype.imports", "localstack.services.stepfunctions.packages")
sys.modules |= {name: MagicMock() for name in (*NOT_NEEDED, "moto", "moto.batch", "moto.batch.utils")}

# ruff: noqa: E402 - only now can LocalStack be imported
# mypy: disable-error-code="import-not-found"
from localstack.aws.api import ServiceException
from localstack.services.stepfunctions.asl.antlr.runtime.ASLParser import ASLParser
from localstack.services.stepfunctions.asl.component.common.error_name.error_name import ErrorName
from localstack.services.stepfunctions.asl.component.common.error_name.states_error_name import StatesErrorName
from localstack.services.stepfunctions.asl.component.common.retry import retrier_decl
from localstack.services.stepfunctions.asl.component.state.state_execution.state_task.service import (
    state_task_service_dynamodb as dynamodb,
)
from localstack.services.stepfunctions.asl.jsonata import jsonata
from localstack.services.stepfunctions.asl.parse.test_state.preprocessor import TestStatePreprocessor
from localstack.services.stepfunctions.asl.static_analyser.test_state import test_state_analyser as analyser
from localstack.services.stepfunctions.backend.test_state import test_state_mock
from localstack.services.stepfunctions.backend.test_state.execution_worker import TestStateExecutionWorker
from localstack.services.stepfunctions.provider import StepFunctionsProvider

HOST = "127.0.0.1"
CALLER = SimpleNamespace(account_id="123456789012", region="us-east-1")
# A text, or what an expression reads, such as `$states.input.data`.
READ = re.compile(r"""'[^']*'|"[^"]*"|(\$[a-zA-Z]\w*(?:\.\w+)*)""")

provider = StepFunctionsProvider()
make_environment = TestStateExecutionWorker._get_evaluation_environment
check_definition = StepFunctionsProvider._validate_definition
parse_definition = ASLParser.state_machine
read_state = TestStatePreprocessor.visitState_decl

request: dict[str, Any] = {}
variables: dict[str, Any] = {}  # of the request, then those after the state
checked: set[str] = set()
trees: dict[str, Any] = {}
states: dict[Any, Any] = {}


def evaluate(expression: str) -> Any:
    """Evaluate JSONata that itself binds what it reads."""
    try:
        compiled = Jsonata(expression)
        compiled.register_lambda("parse", json.loads)
        return compiled.evaluate(None)
    except Exception as error:
        raise jsonata.JSONataException("UNKNOWN", str(error)) from error


def named(error: str) -> ErrorName:
    return StatesErrorName.from_name(error) if error.startswith("States.") else ErrorName(error)


def with_variables(worker: Any) -> Any:
    environment = make_environment(worker)
    environment.variable_store._inner_scope = variables
    return environment


def check_once(definition: str, static_analysers: Any) -> None:
    if definition not in checked:
        check_definition(definition, static_analysers)
        checked.add(definition)


def parse_once(parser: Any) -> Any:
    definition = request["definition"]
    if definition not in trees:
        trees[definition] = parse_definition(parser)
    return trees[definition]


def read_once(preprocessor: Any, tree: Any) -> Any:
    if f'"{request["stateName"]}":' in tree.getText():  # a test changes the state, and the Map around it
        return read_state(preprocessor, tree)
    if tree not in states:
        states[tree] = read_state(preprocessor, tree)
    return states[tree]


class Handler(BaseHTTPRequestHandler):
    """Takes TestState by AWS's JSON protocol."""

    def do_POST(self) -> None:
        request.clear()
        request.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        variables.clear()
        variables.update(json.loads(request["variables"]))
        try:
            status, answer = 200, dict(provider.test_state(CALLER, request))
            answer["inspectionData"] |= {"variables": json.dumps(variables)}
        except ServiceException as error:
            status, answer = 400, {"__type": error.code, "message": error.message}
        except Exception as error:  # noqa: BLE001 - the client reports it
            status, answer = 400, {"__type": type(error).__name__, "message": str(error)}
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Log no request."""


if __name__ == "__main__":
    logging.disable()
    vars(jsonata).update(_eval_jsonata=evaluate, _PATTERN_VARIABLE_REFERENCE=READ)
    TestStateExecutionWorker._get_evaluation_environment = with_variables
    del dynamodb.StateTaskServiceDynamoDB._from_error
    vars(test_state_mock)["ErrorName"] = named
    vars(retrier_decl)["time"] = SimpleNamespace(sleep=lambda _: None)
    StepFunctionsProvider._validate_definition = staticmethod(check_once)
    ASLParser.state_machine, TestStatePreprocessor.visitState_decl = parse_once, read_once
    RuleContext.getText = cache(RuleContext.getText)
    parse = cache(analyser.TestStateAmazonStateLanguageParser.parse)
    vars(analyser)["TestStateAmazonStateLanguageParser"] = SimpleNamespace(parse=parse)
    with HTTPServer((HOST, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
