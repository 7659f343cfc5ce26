"""The e-mails as a customer reads them."""

import re
from dataclasses import replace
from datetime import datetime
from email.header import decode_header, make_header
from email.utils import parseaddr
from html import unescape
from importlib.resources import files

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onboarding.adapters import mail
from onboarding.adapters.mail import Email, Sender, render
from onboarding.domain.tasks import ConfirmationEmail, WelcomeEmailTask
from tests.invocations import a_welcome_email_task

ISOLATES = [0x2068, 0x2069]
LANGUAGES = sorted({path.name.split(".")[1] for path in files(mail).iterdir() if path.name.startswith("welcome.")})
SENDER = Sender(
    address="welcome@example.com",
    configuration_set="welcome-email",
    company_name="Smith & Søn",
    account_url="https://www.example.com/account?from=mail&new=1",
)


def welcome(**changes: str) -> Email:
    return render(WelcomeEmailTask.model_validate(a_welcome_email_task(**changes)), SENDER)


def name_in(html: str) -> str:
    """The markup of the name."""
    (name,) = re.findall("<bdi>(.*)</bdi>,", html, re.DOTALL)
    return str(name)


def test_mail_has_name_account_and_link() -> None:
    email = welcome(firstName="Ada", accountId="account-1")

    assert email.subject == "Welcome to Smith & Søn"
    assert email.text == (
        "Hello Ada,\n\n"
        "your account with Smith & Søn is ready.\n\n"
        "Your account ID: account-1\n"
        "Your account:    https://www.example.com/account?from=mail&new=1\n\n"
        "You receive this message because this address was registered with Smith & Søn.\n"
        "If that was not you, there is nothing that you need to do.\n"
    )
    assert "<strong>account-1</strong>" in email.html
    assert '<a href="https://www.example.com/account?from=mail&amp;new=1" ' in email.html
    assert "<title>Welcome to Smith &amp; Søn</title>" in email.html


@pytest.mark.parametrize(
    ("locale", "greeting"),
    [
        *((locale, "Hello Ada,\n") for locale in ("en", "en-GB", "fr", "zh-Hant-TW", "det")),
        *((locale, "Guten Tag Ada,\n") for locale in ("de", "de-AT", "DE", "de-1996")),
    ],
)
def test_mail_is_in_customers_language(locale: str, greeting: str) -> None:
    assert welcome(firstName="Ada", locale=locale).text.startswith(greeting)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_the_same(language: str) -> None:
    email = welcome(firstName="Ada", accountId="account-1", locale=language)

    assert "Smith & Søn" in email.subject
    for part in (email.text, html_text(email.html)):
        assert min(part.count(it) for it in ("Ada", "account-1", "Smith & Søn", SENDER.account_url)) == 1
    assert f'<html lang="{language}">' in email.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", ["https://example.com/confirm?from=mail&new=1", ""])
def test_each_language_has_code_and_link(page: str, language: str) -> None:
    task = ConfirmationEmail(
        customer_id="ada",
        correlation_id="request",
        first_name="Ada",
        email="ada@example.com",
        locale=language,
        code="MFRGGZDF",
        page=page,
        expires_at=datetime.fromisoformat("2026-11-26T10:30:42+01:00"),
    )

    email = render(task, SENDER)

    assert "Smith & Søn" in email.subject
    for part in (email.text, html_text(email.html)):
        assert f"{page or SENDER.account_url}#customerId=ada&code=MFRGGZDF" in part
        assert part.count("MFRGGZDF") == 2
        assert "2026-11-26 09:30 UTC" in part
        assert "Ada" in part
    assert f'<html lang="{language}">' in email.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_mail_leaves_colours_to_the_reader(language: str) -> None:
    html = welcome(locale=language).html

    assert '<meta name="color-scheme" content="light dark">' in html
    assert set(re.findall('colou?r: *([^;"]*)', html)) == {"inherit"}


@pytest.mark.parametrize("name", ["فاطمة", "שרה", "ܫܪܐ", "ޢާއިޝާ", "Ada (عدا)"])
def test_rtl_name_is_isolated(name: str) -> None:
    assert welcome(firstName=name).text.startswith(f"Hello \u2068{name}\u2069,\n")


@pytest.mark.parametrize("company", ["Example", 'Smith, "Son" <& Co.>', "Smith & Søn", "例" * 100, "شركة"])
def test_sender_has_the_companys_name(company: str) -> None:
    mailbox = replace(SENDER, company_name=company).mailbox

    name, address = parseaddr(mailbox)
    assert mailbox.isascii()
    assert address == SENDER.address
    assert str(make_header(decode_header(name))) == company
    assert max(map(len, name.split())) <= 75  # an encoded word's limit: RFC 2047, section 2


@example('<b title="x">Ada</b>')
@example("$account_id ${account_url} {0} %s")
@example("&lt; 'Ada'")
@given(st.text() | st.text("<>&\"'/;#$abc"))
def test_any_name_is_escaped(name: str) -> None:
    email = welcome(firstName=name)

    assert email.text.translate(dict.fromkeys(ISOLATES)).startswith(
        f"Hello {name},\n".translate(dict.fromkeys(ISOLATES))
    )
    assert re.search("[<>\"']", name_in(email.html)) is None
    assert re.search("&(?!(amp|lt|gt|quot|#x27);)", name_in(email.html)) is None
    assert html_text(name_in(email.html)) == name


def html_text(markup: str) -> str:
    """The text with only the entities of `escape` resolved; HTML would resolve `&amp` without a semicolon too."""
    return re.sub("&[^;]+;", lambda entity: unescape(entity[0]), markup)
