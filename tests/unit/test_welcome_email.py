"""The welcome e-mail as a customer reads it."""

import re
from html import unescape

from hypothesis import example, given
from hypothesis import strategies as st

from onboarding.adapters.mail import Sender, WelcomeEmail, render
from onboarding.domain.tasks import WelcomeEmailTask
from tests.invocations import a_welcome_email_task

SENDER = Sender(
    address="welcome@example.com",
    configuration_set="welcome-email",
    company_name="Smith & Søn",
    account_url="https://www.example.com/account?from=mail&new=1",
)


def welcome(**changes: str) -> WelcomeEmail:
    return render(WelcomeEmailTask.model_validate(a_welcome_email_task(**changes)), SENDER)


def name_in(html: str) -> str:
    """The markup of the name."""
    (name,) = re.findall("Hello <bdi>(.*)</bdi>,", html, re.DOTALL)
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
    assert '<a href="https://www.example.com/account?from=mail&amp;new=1">' in email.html
    assert "<title>Welcome to Smith &amp; Søn</title>" in email.html


@example('<b title="x">Ada</b>')
@example("$account_id ${account_url} {0} %s")
@example("&lt; 'Ada'")
@given(st.text() | st.text("<>&\"'/;#$abc"))
def test_any_name_is_escaped(name: str) -> None:
    email = welcome(firstName=name)

    assert email.text.startswith(f"Hello {name},\n")
    assert re.search("[<>\"']", name_in(email.html)) is None
    assert re.search("&(?!(amp|lt|gt|quot|#x27);)", name_in(email.html)) is None
    assert html_text(name_in(email.html)) == name


def html_text(markup: str) -> str:
    """The text with only the entities of `escape` resolved; HTML would resolve `&amp` without a semicolon too."""
    return re.sub("&[^;]+;", lambda entity: unescape(entity[0]), markup)
