"""The rules of fraud detection one by one, and the findings that are kept."""

from datetime import timedelta
from typing import Any

import pytest

from onboarding.adapters.fraud import record
from onboarding.domain.customer import CustomerData
from onboarding.domain.events import CustomerValidated
from onboarding.domain.fraud import PUBLIC_PROVIDERS, RULES, Burst, Finding, examine
from tests.customers import a_customer
from tests.invocations import an_event
from tests.unit.systems import make_client
from tests.unit.table import Table

LONDON = {"street": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}


def finding(rule: str, **customer: Any) -> Finding:
    return RULES[rule].find(CustomerData.model_validate(a_customer(**customer)))


def burst(rule: str, **customer: Any) -> Burst:
    found = finding(rule, **customer)
    assert isinstance(found, Burst)
    return found


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_rule_finds_nothing_in_plain_customer(rule: Any) -> None:
    assert 0 < rule.weight <= 100
    assert rule.message[0].isupper()
    assert rule.find(CustomerData.model_validate(a_customer(email="ada.lovelace@gmail.com"))) is False


def test_disposable_subdomain_is_found() -> None:
    domains = ("MAILINATOR.com", "eu.mailinator.com", "mailinator.com.example.org", "a-mailinator.com")

    found = [domain for domain in domains if finding("disposable_email_domain", email=f"ada@{domain}")]

    assert found == ["MAILINATOR.com", "eu.mailinator.com"]


def test_no_public_provider_is_disposable() -> None:
    assert [name for name in PUBLIC_PROVIDERS if finding("disposable_email_domain", email=f"ada@{name}")] == []


def test_phone_number_counts_for_a_day() -> None:
    assert burst("phone_burst", phone="+442079460958") == Burst("+442079460958", 3, timedelta(days=1))


def test_address_ignores_spacing_and_case() -> None:
    one = burst("postal_address_burst", address=LONDON)

    same = LONDON | {"street": " 12  ST JAMES'S Square", "city": "london "}
    assert one == burst("postal_address_burst", address=same)
    assert one != burst("postal_address_burst", address=LONDON | {"street": "13 St James's Square"})


PROVIDERS = """
    gmail.com googlemail.com yahoo.com yahoo.co.uk yahoo.com.br yahoo.co.jp yahoo.ca yahoo.com.tw hotmail.com hotmail.fr
    hotmail.com.ar outlook.com outlook.jp live.nl live.com.mx msn.com aol.com icloud.com me.com mac.com comcast.net
    verizon.net att.net sbcglobal.net cox.net charter.net gmx.de gmx.ch web.de t-online.de freenet.de posteo.de free.fr
    orange.fr wanadoo.fr laposte.net sfr.fr libero.it alice.it tin.it tiscali.it telenet.be ziggo.nl bluewin.ch a1.net
    btinternet.com sky.com virginmedia.com docomo.ne.jp ezweb.ne.jp softbank.ne.jp nifty.com qq.com 163.com sina.com
    naver.com daum.net mail.ru yandex.ru bk.ru ukr.net wp.pl onet.pl seznam.cz azet.sk freemail.hu abv.bg uol.com.br
    terra.com.br rediffmail.com proton.me protonmail.com tutanota.com fastmail.com zoho.com telia.com online.no sapo.pt
    otenet.gr biglobe.ne.jp movistar.es disroot.org bigpond.com xtra.co.nz shaw.ca rogers.com walla.co.il
    hinet.net duck.com privaterelay.appleid.com vip.163.com customer.netcologne.de
"""


def test_only_company_mail_domain_is_counted() -> None:
    assert burst("mail_domain_burst", email="ada@Example.com") == Burst("example.com", 10, timedelta(hours=1))
    counted = [name for name in PROVIDERS.split() if finding("mail_domain_burst", email=f"ada@{name}")]
    companies = [
        "mail.example.com",
        "yahoo.example.com",
        "gmail.example",
        "notgmail.com",
        "siemens.com",
        "example.co.uk",
    ]
    uncounted = [name for name in companies if not finding("mail_domain_burst", email=f"ada@{name}")]

    assert counted == uncounted == []


@pytest.mark.parametrize(
    ("name", "mailboxes"),
    [
        ("Ada Lovelace", ["ada1815", "a.lovelace+shop", "al", "la", "info"]),
        ("Jürgen Müller", ["mueller77", "muller77"]),
        ("Zoë Łukasik", ["lukasik"]),
        ("Işıl Yıldız", ["isil", "yildiz"]),
        ("Søren Ærø", ["soren", "soeren", "aero", "sa"]),
        ("A\u030asa Kjær", ["asa", "aasa", "kjaer"]),
        ("Guðrún Þórðar", ["gudrun", "thordar"]),
        ("Đorđe Œuvrard", ["dorde", "djordje", "oeuvrard"]),
        ("Ilqar Əliyev", ["aliyev", "eliyev"]),
        ("Anne-Marie O'Neill", ["oneill", "marie"]),
        ("فاطمة الفهري", ["xk29q"]),
    ],
)
def test_mailbox_can_match_the_name(name: str, mailboxes: list[str]) -> None:
    first, last = name.split()
    emails = [f"{mailbox}@example.com" for mailbox in mailboxes]

    assert [email for email in emails if finding("mail_unlike_name", firstName=first, lastName=last, email=email)] == []


@pytest.mark.parametrize("local", ["xk29q", "grace.hopper", "12345", "bulk+ada"])
def test_mailbox_unlike_the_name_is_found(local: str) -> None:
    assert finding("mail_unlike_name", email=f"{local}@example.com") is True


def test_first_findings_are_kept(fraud_table: Table) -> None:
    """Findings of a later time would count the customers in between for this one."""
    first, repeated = (examine(an_event(CustomerValidated, after=after)) for after in (0, 60))

    kept = [
        record(findings, dynamodb=make_client("dynamodb"), table_name=fraud_table.name)
        for findings in (first, repeated)
    ]

    assert first != repeated
    assert kept == [first, first]
