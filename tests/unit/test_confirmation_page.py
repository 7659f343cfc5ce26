"""The page behind the link in the e-mail, in a browser whose API is the function in this process."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Route, expect

from cli import PROJECT
from tests.in_process import template
from tests.invocations import a_confirmation, a_confirmation_task, a_page_request, a_resend
from tests.unit.runtime import Runtime
from tests.unit.test_confirmation import CUSTOMER, WRONG, expire

ANSWER = "confirm_email"
PAGE = f"https://api.example.com/v1/api/customers/{CUSTOMER}/email-confirmation"
LANGUAGES = sorted(
    it.name.split(".")[1] for it in (PROJECT / "functions/onboarding/adapters/mail").glob("welcome.*.txt")
)
FOCUSED = "document.activeElement.id || document.activeElement.textContent"
PATIENCE_MS = 240_000  # far more than it takes, even on a busy machine
ATTACK = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.usefixtures("idempotency_table")


@dataclass
class Opened:
    """The page in a window. `asked` are the requests; `faults` are answers that come first, None for no network."""

    window: Page
    asked: list[str] = field(default_factory=list)
    faults: list[tuple[int, dict[str, str]] | None] = field(default_factory=list)

    def said(self, text: str) -> str:
        """Wait until the page says something with this text; return where the focus is."""
        self.window.get_by_role("status").filter(has_text=text).wait_for()
        return str(self.window.evaluate(FOCUSED))

    def type_code(self, code: str) -> None:
        self.window.get_by_label("code").fill(code)
        self.window.keyboard.press("Enter")


def mailed(outbox: list[Any]) -> str:
    """The link in the newest e-mail."""
    return html.unescape(re.findall(r'href="(.*?)"', outbox[-1].body)[0])


Visit = Callable[..., Opened]


@pytest.fixture
def link(runtime: Runtime, outbox: list[Any]) -> str:
    """The link in the e-mail."""
    runtime.invoke("request_confirmation", a_confirmation_task(customerId=CUSTOMER, page=PAGE))
    return mailed(outbox)


@pytest.fixture
def visit(runtime: Runtime, chromium: Browser) -> Iterator[Visit]:
    """Opens a URL in a browser with these options."""
    contexts = []

    def visit(url: str, **options: Any) -> Opened:
        contexts.append(context := chromium.new_context(**({"locale": "en-GB"} | options)))
        context.set_default_timeout(PATIENCE_MS)
        opened = Opened(context.new_page())
        opened.window.on("pageerror", lambda error: opened.asked.append(str(error)))
        opened.window.on("console", lambda line: opened.asked.append(line.text))

        def answer(route: Route) -> None:
            request, path = route.request, route.request.url.removeprefix(PAGE)
            opened.asked.append(f"{request.method} {path}")
            if request.method == "POST" and opened.faults:
                fault = opened.faults.pop()
                return route.fulfill(status=fault[0], headers=fault[1]) if fault else route.abort()
            made = {
                "GET ": a_page_request(CUSTOMER, **request.headers),
                "POST ": a_confirmation(CUSTOMER, "") | {"body": request.post_data},
                "POST /resend": a_resend(CUSTOMER),
            }
            answered = runtime.invoke(ANSWER, made[f"{request.method} {path}"])
            return route.fulfill(
                status=answered["statusCode"], headers=answered["headers"], body=answered.get("body", "")
            )

        context.route("**/*", answer)
        opened.window.goto(url)
        return opened

    yield visit
    for context in contexts:
        context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_is_strict_in_each_language(language: str, runtime: Runtime) -> None:
    answer = runtime.invoke(ANSWER, a_page_request("never-asked", **{"Accept-Language": f"{language}, fr;q=0.5"}))
    page, headers = answer["body"], answer["headers"]
    texts = json.loads((PROJECT / f"functions/confirm_email/page.{language}.json").read_text(encoding="utf-8"))

    hashes = {
        kind: b64encode(sha256(text.encode()).digest()).decode()
        for kind, text in re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL)
    }
    assert answer["statusCode"] == 200
    assert (
        headers.items()
        >= {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{hashes['script']}'; "
            f"style-src 'sha256-{hashes['style']}'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'; require-trusted-types-for 'script'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items()
    )
    assert "Set-Cookie" not in headers
    assert f'<html lang="{language}">' in page
    assert "Smith &amp; Søn" in page
    assert "://" not in page
    assert texts["messages"].keys() == {"busy", "unavailable", "202", "204", "404", "410", "422", "429"}


@pytest.mark.parametrize("header", ["fr-FR, de;q=0.9", "../../x", ""])
def test_page_is_english_for_all_others(header: str, runtime: Runtime) -> None:
    answer = runtime.invoke(ANSWER, a_page_request(CUSTOMER, **{"Accept-Language": header}))

    assert '<html lang="en">' in answer["body"]


def test_person_confirms_by_keyboard(link: str, visit: Visit) -> None:
    page = visit(link, color_scheme="dark")
    assert page.asked == ["GET "]  # nobody pressed anything: a mail scanner may run the script

    for _ in range(2):
        page.window.keyboard.press("Tab")
    assert page.window.evaluate(FOCUSED) == "Confirm"
    page.window.keyboard.press("Enter")

    assert page.said("Your e-mail address is confirmed") == "said"
    assert not page.window.get_by_role("button").count()
    assert page.asked == ["GET ", "POST "]
    assert Axe().run(page.window).response["violations"] == []
    page.window.reload()
    page.window.get_by_role("button", name="Confirm").click()
    page.said("Your e-mail address is confirmed")


def test_page_is_for_eyes_and_ears(link: str, visit: Visit) -> None:
    page = visit(link, locale="de-AT")

    assert page.window.title() == f"E-Mail-Adresse für {template.CHOSEN['CompanyName']} bestätigen"
    assert Axe().run(page.window).response["violations"] == []
    page.window.get_by_role("button", name="Bestätigen").click()
    assert page.said("Ihre E-Mail-Adresse ist bestätigt") == "said"


def test_wrong_code_can_be_corrected(link: str, visit: Visit) -> None:
    page = visit(PAGE)  # the mail program lost the fragment

    page.type_code(WRONG)
    assert page.said("Attempts left: 9") == "code"
    assert page.window.get_by_label("code").get_attribute("aria-invalid") == "true"
    assert Axe().run(page.window).response["violations"] == []
    page.type_code(f" {link[-24:].lower()} ")
    page.said("Your e-mail address is confirmed")


def test_used_up_code_is_replaced(link: str, visit: Visit, outbox: list[Any]) -> None:
    page = visit(link)

    for left in range(9, 0, -1):
        page.type_code(WRONG)
        page.said(f"Attempts left: {left}")
    page.type_code(WRONG)
    assert page.said("too often") == "Send me another e-mail"
    page.window.keyboard.press("Enter")
    page.said("another e-mail is on its way")
    page.window.goto(again := mailed(outbox))  # opened in the same window, which loads nothing
    expect(page.window.get_by_label("code")).to_have_value(again[-24:], timeout=PATIENCE_MS)
    page.window.get_by_role("button", name="Confirm").click()
    page.said("Your e-mail address is confirmed")
    assert page.asked.count("GET ") == 1


def test_expired_confirmation_says_so(link: str, visit: Visit, functions: Any) -> None:
    page = visit(link)
    expire(functions)

    page.window.get_by_role("button", name="Confirm").click()

    assert page.said("The time to confirm is over") == "said"
    assert not page.window.get_by_role("button").count()


def test_failed_request_can_be_tried_again(link: str, visit: Visit) -> None:
    page = visit(link)
    button = page.window.get_by_role("button", name="Confirm")

    # No network, ours, API Gateway's throttle, a web ACL's, and an answer that is no JSON.
    for fault in (None, (503, {"Retry-After": "5"}), (429, {"Retry-After": "1"}), (403, {}), (422, {})):
        page.faults.append(fault)
        button.click()
        page.said("Please try again")
    button.click()
    page.said("Your e-mail address is confirmed")


def test_what_the_link_brings_is_data(visit: Visit) -> None:
    page = visit(PAGE)

    for code in (ATTACK, f"{WRONG}%00", "é" * 24, ""):
        for sent, taken in ((WRONG, WRONG), (code, "")):
            page.window.goto(f"{PAGE}#customerId={ATTACK}&code={sent}")
            expect(page.window.get_by_label("code")).to_have_value(taken, timeout=PATIENCE_MS)
        page.window.get_by_role("button", name="Confirm").click()  # the browser asks for a code
    assert page.asked == ["GET "]
