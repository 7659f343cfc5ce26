"""What the emulator starts as a worker: it has the worker forked, and ends when the worker ends.

If it is killed, so is the worker: `fork_server.py` has that side. The servers listen on sockets in the folder of the
function's code, which is the current one. `.base` has imported what functions share; a server for each function has
imported its handler too. A server that isn't there is started.

This runs at each start of a worker, so it imports little: no subprocess, no pathlib.
"""

import fcntl
import json
import os
import pathlib
import socket
import sys
import zlib
from collections.abc import Callable

BASE = ".base"  # no module has that name
# What differs between two workers of one function.
OF_A_WORKER = ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME")


def main() -> int:
    """Return the worker's exit status, or 1 if its server was killed."""
    environment = dict(os.environ)
    shared = {name: value for name, value in environment.items() if name not in OF_A_WORKER}
    # A function whose settings have changed gets another server.
    settings = zlib.crc32(json.dumps(shared, sort_keys=True).encode())
    function = f"{os.environ.get('AWS_LAMBDA_FUNCTION_NAME')}-{settings:08x}"

    def start_server(listener: socket.socket) -> None:
        with connect(BASE, start_base) as base:
            ask(base, [function, shared], [listener.fileno()])

    with connect(function, start_server) as server:
        ask(server, environment, [0, 1, 2])
        return (server.recv(1) or b"\1")[0]


def connect(name: str, start: Callable[[socket.socket], None]) -> socket.socket:
    """Connect to the server with this name. If there is none, `start` starts it on the socket that it gets."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with pathlib.Path(f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            client.connect(name)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if isinstance(error, ConnectionRefusedError):  # it was killed
                pathlib.Path(name).unlink()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(name)
                listener.listen()
                start(listener)
            client.connect(name)
    return client


def ask(server: socket.socket, request: object, files: list[int]) -> None:
    """Send a request and the open files that go with it."""
    socket.send_fds(server, [json.dumps(request).encode()], files)


def start_base(listener: socket.socket) -> None:
    """Start the server that has imported what functions share, with the Python path that functions have."""
    listener.set_inheritable(True)
    server = os.path.join(os.path.dirname(__file__), "fork_server.py")
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-SPu", server, BASE, str(listener.fileno())],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "fork-server.log", log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
