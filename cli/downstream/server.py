"""Werkzeug's HTTP server on a free port of this machine, for applications that also hang and reset connections."""

from __future__ import annotations

import socket
import struct
from threading import Event, Thread
from typing import NoReturn, Self
from wsgiref.types import WSGIApplication, WSGIEnvironment

from werkzeug.serving import WSGIRequestHandler, make_server

HOST = "127.0.0.1"


class Server:
    """Serves an application from when it is made until it is stopped, each request in a thread of its own.

    Where the application raises a ConnectionError, the client's connection is reset.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._stopping = Event()
        self._server = make_server(HOST, 0, application, threaded=True, request_handler=_Request)
        self.url = f"http://{HOST}:{self._server.port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def hang(self) -> NoReturn:
        """Let the client of this thread's request wait until the server stops."""
        self._stopping.wait()
        raise ConnectionAbortedError

    def stop(self) -> None:
        """Free the port and end the requests that hang; harmless when done before."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Request(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:  # noqa: ARG002
        """Reset the connection: that is what to close it does if it may not linger."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def log(self, *_: object) -> None:
        """Say nothing: a line would have the path as the client typed it."""
