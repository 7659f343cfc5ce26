"""What the emulator starts as a worker: it has `fork_server.py` fork the worker, and ends when the worker ends.

If this process is killed, so is the worker. The base server, which has imported what functions share, listens on a
socket in the emulator's folder. A function's server, which has imported its handler too, listens in the folder of the
function's code, the current one. A server that isn't running is started.

This runs at each start of a worker, so it imports little: no subprocess, no pathlib.
"""

import fcntl
import json
import os
import socket
import sys
import zlib
from collections.abc import Callable

# These differ between workers of one function.
OF_A_WORKER = ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME")


def main() -> int:
    """Run the worker; return its exit status, or 1 if its server was killed."""
    environment = dict(os.environ)
    shared = {name: value for name, value in environment.items() if name not in OF_A_WORKER}
    # A function with changed settings gets another server.
    settings = zlib.crc32(json.dumps(shared, sort_keys=True).encode())
    function = f"{os.environ.get('AWS_LAMBDA_FUNCTION_NAME')}-{settings:08x}"

    def start_server(_: str, listener: socket.socket) -> None:
        code = os.getcwd()
        os.chdir(os.environ["TMPDIR"])  # a socket's path is at most 107 characters long
        with connect(f"base-{zlib.crc32(os.environ['PYTHONPATH'].encode()):08x}", start_base) as base:
            ask(base, [function, shared, code], [listener.fileno()])
        os.chdir(code)

    with connect(function, start_server) as server:
        ask(server, environment, [0, 1, 2])
        return (server.recv(1) or b"\1")[0]


def connect(name: str, start: Callable[[str, socket.socket], None]) -> socket.socket:
    """Connect to the server with this name; if there is none, have `start` start it on a socket."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with open(f"{name}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            client.connect(name)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            if isinstance(error, ConnectionRefusedError):  # it was killed
                os.unlink(name)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(name)
                listener.listen()
                start(name, listener)
            client.connect(name)
    return client


def ask(server: socket.socket, request: object, files: list[int]) -> None:
    """Send a request with open files."""
    socket.send_fds(server, [json.dumps(request).encode()], files)


def start_base(name: str, listener: socket.socket) -> None:
    """Start the server that imports what functions with these packages share."""
    listener.set_inheritable(True)
    server = os.path.join(os.path.dirname(__file__), "fork_server.py")
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-SPu", server, name, str(listener.fileno())],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "fork-server.log", log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
