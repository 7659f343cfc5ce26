"""The pictures in the docs: what `make console` and `onboarding trace --html` show of a refused customer."""

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from cli import PROJECT, NotPossible
from cli.downstream.partner import ApiKeys, Fault, FaultKind, Partner
from cli.machine import emulator, stackport
from cli.machine.deploy import deploy
from cli.machine.polling import back_off
from cli.operate.execution import RUNNING, NoExecution, describe
from cli.operate.page import page
from cli.operate.trace import trace

FOLDER = PROJECT / "docs/pictures"
CUSTOMER = {"firstName": "Hedy", "lastName": "Lamarr", "email": "hedy@example.com"}
FAULTS = Fault(FaultKind.UNAVAILABLE, times=2), Fault(FaultKind.REFUSE)
PATIENCE_SECONDS = 600


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium or, if there is none, Playwright's own. Raises `NotPossible` if there is neither."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        names = ("chromium", "chromium-browser", "google-chrome", own)
        executable = next(filter(None, map(shutil.which, names)), None)
        if executable is None:
            raise NotPossible("There is no Chromium here: install the package chromium, or run `playwright install`")
        yield playwright.chromium.launch(executable_path=executable, timeout=0)


def main() -> None:
    """Deploy the stack, register a customer that a downstream system refuses, and take the pictures."""
    with emulator.start() as aws, Partner("crm", ApiKeys()) as crm, chromium() as browser:
        stack = deploy(aws, systems=[crm.configuration])  # of several, the emulator mixes up the attempts
        crm.plan(CUSTOMER["email"], *FAULTS)
        answer = httpx.post(f"{stack.api_url}/api/customers", json=CUSTOMER, trust_env=False, timeout=PATIENCE_SECONDS)
        customer_id = answer.raise_for_status().json()["customerId"]
        for _ in back_off(PATIENCE_SECONDS):
            with suppress(NoExecution):
                if describe(stack, customer_id)["status"] not in RUNNING:
                    break
        for scheme in ("light", "dark"):
            window = browser.new_page(viewport={"width": 960, "height": 100}, color_scheme=scheme)
            window.set_content(page(trace(stack, customer_id)))
            _save(window.screenshot(full_page=True), f"trace-{scheme}")
        with stackport.serve(stack) as (url, _):
            window = browser.new_page(viewport={"width": 960, "height": 1580})
            window.goto(url)
            window.get_by_role("link", name=customer_id).click()
            window.get_by_text("SendWelcomeEmail").wait_for()
            _save(window.screenshot(animations="disabled"), "console")


def _save(picture: bytes, name: str) -> None:
    """Save a picture with few colours, which makes it small."""
    FOLDER.mkdir(exist_ok=True)
    Image.open(io.BytesIO(picture)).quantize().save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    try:
        main()
    except NotPossible as failure:
        sys.exit(str(failure))
