"""StackPort, a console in the browser for a stack on this machine. It only reads.

StackPort remembers endpoints, and without one it calls AWS. So it starts with an empty folder and none of the user's
environment, and what it sends to any host but the emulator's goes to a port where nobody answers.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx

from cli import PROJECT, WORKSPACE, NotPossible
from cli.machine.deploy import EmulatorStack
from cli.machine.emulator import START_SECONDS, free_port
from cli.machine.environment import HOST, REGION, ROOT_OF_THE_EMULATOR
from cli.machine.polling import back_off
from cli.machine.supervised_process import start_supervised

PYTHON = WORKSPACE / "console/bin/python"  # made by `make console`
NOBODY = f"http://{HOST}:9"  # the port of the discard protocol
SETTINGS = ROOT_OF_THE_EMULATOR | {
    "AWS_REGION": REGION,
    "LOG_LEVEL": "WARNING",
    "HTTP_PROXY": NOBODY,
    "HTTPS_PROXY": NOBODY,
    "NO_PROXY": HOST,
    "STACKPORT_ALLOW_WRITES": "false",
    "STACKPORT_LEARN": "false",
    # It looks at each of these every two seconds.
    "STACKPORT_SERVICES": "stepfunctions,lambda,sqs,dynamodb,events,logs,apigateway,ses,ssm,secretsmanager,monitoring",
}


@contextmanager
def serve(stack: EmulatorStack) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the console; yields the URL of the workflow's executions, and the process. Raises `NotPossible`."""
    if not PYTHON.exists():
        raise NotPossible("The console isn't installed. Start it with `make console`")
    port = free_port()
    application = ["--app-dir", str(PROJECT), "cli.machine.stackport_guard:app"]
    server = [str(PYTHON), "-m", "uvicorn", *application, "--host", HOST, "--port", str(port), "--no-access-log"]
    with (
        tempfile.TemporaryDirectory(prefix="customer-onboarding-console-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as log,
        start_supervised(
            Path(folder),
            server,
            directory=Path(folder),
            environment=SETTINGS
            | {"STACKPORT_DATA_DIR": folder, "STACKPORT_ENDPOINTS": f"here={stack.emulator.endpoint_url}"},
            output=log,
        ) as process,
    ):
        answered = False
        for _ in back_off(START_SECONDS):
            with suppress(httpx.TransportError):
                answered = httpx.get(f"http://{HOST}:{port}/", trust_env=False).is_success
            if answered or process.poll() is not None:
                break
        if not answered:
            raise NotPossible(f"The console did not start:\n{os.pread(log.fileno(), 10_000, 0).decode()}")
        machine = quote(stack.outputs["StateMachineArn"], safe="")
        yield f"http://{HOST}:{port}/resources/stepfunctions?machine={machine}", process
