"""The console in the browser, on this stack: it shows an execution, only reads, and reaches the emulator alone."""

import io
import re
import subprocess
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from playwright.sync_api import Browser
from rich.console import Console

from cli import PROJECT, background
from cli.machine import stackport
from cli.machine.deploy import EmulatorStack
from tests.customers import a_customer
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings


@pytest.fixture(scope="module")
def url(stack: EmulatorStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The running console's. Its settings are in a folder that ends with it."""
    folder = tmp_path_factory.mktemp("console")
    subprocess.run(["make", "--silent", "--old-file=setup", ".local/console/.ready"], cwd=PROJECT, check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        with stackport.serve(stack) as (url, _):
            assert len(list(folder.glob("*/endpoints.json"))) == 1
            yield url
    assert list(folder.iterdir()) == []


def test_console_shows_a_customers_execution(url: str, onboardings: Onboardings, chromium: Browser) -> None:
    customer_id = onboardings.register(a_customer())
    onboardings.await_end(customer_id)
    window, hosts = chromium.new_page(), set[str]()
    window.set_default_timeout(PATIENCE_SECONDS * 1000)
    window.on("request", lambda request: hosts.add(httpx.URL(request.url).host))

    window.goto(url)
    window.get_by_role("link", name=customer_id).click()

    shown = window.get_by_role("dialog")
    shown.get_by_text("PublishWelcomeEmailS").wait_for()  # the graph, which cuts the names
    assert "SUCCEEDED" in shown.inner_text()
    assert hosts == {"127.0.0.1"}


def test_console_reads_and_reaches_the_emulator_alone(url: str, stack: EmulatorStack) -> None:
    console = httpx.URL(url)
    machines, port = console.copy_with(path="/api/stepfunctions/state-machines", query=None), stack.emulator.port
    elsewhere = {"endpoint": f"http://localhost:{port}"}  # another name of the same host
    start = f"{machines}/{stack.outputs['StateMachineArn']}/executions"

    with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        assert http.get(machines).is_success
        assert "proxy" in http.get(machines, params=elsewhere).json()["detail"]
        invoke = console.copy_with(path="/api/lambda/functions/CancelAccount/invoke", query=None)
        for write in (start, invoke):
            assert http.post(write, json={"name": "by-hand", "input": {}}).status_code == httpx.codes.FORBIDDEN
        for foreign in ({"Origin": "https://example.com"}, {"Host": f"example.com:{console.port}"}):
            assert http.get(machines, headers=foreign).status_code == httpx.codes.FORBIDDEN
        with pytest.raises(httpx.ConnectError):
            http.get(machines.copy_with(host="127.0.0.2"))


def test_command_shows_the_url_until_interrupted(
    stack: EmulatorStack, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(background, "running", lambda: stack)
    monkeypatch.setattr(background, "time", SimpleNamespace(sleep=interrupt))
    said = io.StringIO()

    background.show(Console(file=said))

    assert re.match(r"http://127\.0\.0\.1:\d+/resources/stepfunctions\?machine=arn", said.getvalue())
