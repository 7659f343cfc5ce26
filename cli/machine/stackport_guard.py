"""StackPort's application, for the browser on this machine alone. It runs in StackPort's own environment.

With writes off, StackPort still invokes functions. It also answers any website that the browser shows.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from backend.main import app as stackport  # type: ignore[import-not-found]

from cli.machine.environment import HOST

_Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: _Send) -> None:
    """Refuse requests of other websites (by their origin, or by a name of theirs for this host), and invocations."""
    headers = dict(scope.get("headers", ()))
    host = headers.get(b"host", b"")
    is_own = host.startswith(f"{HOST}:".encode()) and headers.get(b"origin", b"http://" + host) == b"http://" + host
    if scope["type"] == "lifespan" or (is_own and not scope["path"].endswith("/invoke")):
        await stackport(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN})
        await send({"type": "http.response.body"})
