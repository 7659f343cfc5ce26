"""A local downstream system that sends planned answers and keeps the requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug import Request as HttpRequest
from werkzeug import Response
from werkzeug.datastructures import Headers

from cli.downstream.server import Server
from cli.machine.polling import back_off
from tests.invocations import as_text

PATIENCE_SECONDS = 240  # far more than needed


class Answer(Response):
    """An answer; text is sent as it is, any other body as JSON."""

    def __init__(self, status: int = 200, headers: Mapping[str, str] | None = None, body: Any = "") -> None:
        super().__init__(as_text(body), status, headers)


HANGS = Answer()  # no answer for as long as the test runs
RESETS = Answer()  # the connection is reset


@dataclass(frozen=True)
class Request:
    """A request as it came in; headers are found in any case."""

    method: str
    path: str
    headers: Headers
    body: str


class Partner(Server):
    """Sends the answers in turn, and repeats the last one. `requests` are all that came in."""

    def __init__(self) -> None:
        self.answers = [Answer()]
        self.requests: list[Request] = []
        super().__init__(HttpRequest.application(self._answer))

    def _answer(self, request: HttpRequest) -> Response:
        path = request.environ["REQUEST_URI"]
        self.requests.append(Request(request.method, path, request.headers, request.get_data(as_text=True)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is HANGS:
            self.hang()
        if answer is RESETS:
            raise ConnectionResetError
        return answer

    def await_paths(self) -> list[str]:
        """`paths`, once there is one: a client may give up before its request is read."""
        assert any(self.requests for _ in back_off(PATIENCE_SECONDS))
        return self.paths

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def header(self, name: str) -> list[str | None]:
        """The values that the requests had for a header."""
        return [request.headers.get(name) for request in self.requests]
