"""An HTTP server on a free local port whose application can also hang and reset connections."""

import socket
import struct
from threading import Event, Thread
from typing import NoReturn, Self
from wsgiref.types import WSGIApplication, WSGIEnvironment

from werkzeug.serving import WSGIRequestHandler, make_server

from cli.machine.environment import HOST


class Server:
    """Serves an application until stopped, each request in a thread. A ConnectionError resets the connection."""

    def __init__(self, application: WSGIApplication) -> None:
        self._stopping = Event()
        self._server = make_server(HOST, 0, application, threaded=True, request_handler=_Request)
        self.url = f"http://{HOST}:{self._server.port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def hang(self) -> NoReturn:
        """Block the current request until the server stops."""
        self._stopping.wait()
        raise ConnectionAbortedError

    def stop(self) -> None:
        """Free the port and end hanging requests. Idempotent."""
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
        """Reset the connection: closing does that with a linger time of zero."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def log(self, *_: object) -> None:
        """Log nothing: the path is the client's."""
