"""The business rules of a registration, and the normalised form of what passes them.

All broken rules are reported, not the first. An error names its field and the reason, never the value.
"""

import re
import unicodedata
from contextlib import suppress

import iso3166
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic.alias_generators import to_camel

from onboarding.domain.countries import CITY_OPTIONAL, POSTAL_CODE_REQUIRED
from onboarding.domain.customer import Address, CustomerData
from onboarding.domain.errors import CustomerInvalid, FieldError
from onboarding.domain.phone import NoPhoneNumber, e164, is_known
from onboarding.domain.text import shown, trimmed, typed_phone

# Top-level domains that are never public, beside those that email_validator knows: RFC 6761 (6.5), RFC 6762 (appendix
# G), RFC 9476, what routers and Linux call their own networks, and
# https://www.icann.org/en/board-activities-and-meetings/materials/approved-board-resolutions-2018-02-04-en.
_PRIVATE_DOMAINS = tuple(
    f".{name}"
    for name in (
        *SPECIAL_USE_DOMAIN_NAMES,
        *("alt", "corp", "domain", "example", "home", "internal", "intranet", "lan", "localdomain", "localnet", "mail"),
        *("private", "workgroup"),
    )
)
# The codes by which the European Union calls two countries, and many people one of them.
_OTHER_CODES = {"UK": "GB", "EL": "GR"}
# Input methods of East Asia write ASCII in full width, and their own full stop. Other characters that NFKC would fold,
# such as the Kelvin sign, are no ASCII: folded, they would make another person's address.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {ord("\u3002"): ".", ord("\uff61"): "."}

# Of the marks that are vowels: those of most Indic scripts (0), Telugu, Thai, Lao and Tibetan. Accents, tones, nuktas
# and viramas have others. https://www.unicode.org/reports/tr44/#Canonical_Combining_Class_Values
_COMBINING_CLASSES_OF_VOWELS = frozenset({0, 84, 91, 103, 118, 129, 130, 132})
# What a mail program makes a link of, with endings that no name has; `J.Li` and `St. John` are names. The second row of
# endings is also names where it is capitalised: `Anne.Live`. Not `.de` and the like: `Ma.de Lourdes` is a name.
_LINK = re.compile(
    r"://|www\.|\w@\w|[^\W_]\.[^\W\d_]{2,}/|[^\W_]{2}\.("
    r"app|biz|casino|click|club|com|icu|info|link|net|online|org|shop|site|store|top|vip|website|xyz|онлайн|рф|сайт|"
    r"(?-i:(?![A-Z][a-z]))(bet|buzz|cc|cf|cfd|cloud|cn|cyou|email|eu|fr|fun|games|gg|gq|io|life|live|lol|me|ovh|pl|pro|"
    r"pw|ru|sbs|space|tech|tk|tv|ua|uk|us|vn|work|world))(?![^\W_])",
    re.IGNORECASE,
)


def validate(customer: CustomerData) -> CustomerData:
    """Check every rule and return the customer normalised.

    Normalised: texts without what is invisible around them, the e-mail address in the ASCII form that can be mailed
    to, the phone number in E.164 (and marked, if it isn't known to be assigned), the country in upper case.

    Raises:
        CustomerInvalid: with all errors, if a rule is broken.
    """
    errors: list[FieldError] = []
    first_name = _first_name(customer.first_name, errors)
    last_name = _last_name(customer, first_name, errors)
    email = _email(customer.email, errors)
    phone = _phone(customer.phone, customer.address, errors)
    address = _address(customer.address, errors)
    if errors:
        raise CustomerInvalid(errors)
    normalised = {
        "first_name": first_name,
        "last_name": last_name,
        "full_name": last_name if customer.full_name else None,
        "email": email,
        "phone": phone,
        "phone_unrecognized": True if phone and not is_known(phone) else None,
        "address": address,
    }
    return customer.model_copy(update=normalised)


def _error(field: str, code: str, message: str) -> FieldError:
    return {"field": field, "code": code, "message": message}


def _first_name(value: str, errors: list[FieldError]) -> str:
    """A first name has two letters or more, or one ideograph.

    Letters are counted decomposed: an accent adds none, while a Hangul syllable is the two or three letters that it
    is written with. A vowel that is written as a mark is a letter.
    """
    letters = [c for c in unicodedata.normalize("NFD", shown(value)) if _is_letter(c)]
    has_two = len(letters) > 1 and letters[0].isalpha()
    if not has_two and not any(unicodedata.name(c, "").startswith("CJK ") for c in letters):
        errors.append(_error("firstName", "name_too_short", "Must have two letters or more"))
    return _name("firstName", value, errors)


def _is_letter(character: str) -> bool:
    category = unicodedata.category(character)
    is_vowel_sign = category in {"Mn", "Mc"} and unicodedata.combining(character) in _COMBINING_CLASSES_OF_VOWELS
    return is_vowel_sign or category.startswith("L")


def _last_name(customer: CustomerData, first_name: str, errors: list[FieldError]) -> str:
    """The last name; of a person with one name, that one."""
    if customer.full_name:
        return first_name
    if not shown(customer.last_name).strip():
        errors.append(_error("lastName", "blank", "Must not be blank"))
    return _name("lastName", customer.last_name, errors)


def _name(field: str, value: str, errors: list[FieldError]) -> str:
    """A name goes to an address that a stranger may have typed, so it is no advertisement."""
    if _LINK.search(unicodedata.normalize("NFKC", shown(value)).replace("\u3002", ".")):
        errors.append(_error(field, "name_is_link", "Must be a name, without a web address"))
    return trimmed(value)


def _email(value: str, errors: list[FieldError]) -> str:
    """Return the ASCII form: SES takes no other (RFC 6531 isn't supported), so a domain goes as punycode.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
    """
    text = trimmed(value).translate(_FULL_WIDTH)
    local, _, domain = text.rpartition("@")
    if not local.isascii():
        errors.append(_error("email", "email_not_ascii", "Must have only ASCII characters before the @"))
    elif local and domain and "," not in domain and _is_private(domain.lower()):
        errors.append(_error("email", "email_domain_not_public", "Must be under a public domain"))
    else:
        with suppress(EmailNotValidError):
            address = validate_email(
                text,
                allow_smtputf8=False,
                check_deliverability=False,
                strict=True,  # at most 64 characters before the @, as RFC 5321 has it
            )
            return address.ascii_email or address.normalized
        errors.append(_error("email", "email_invalid", "Must be well-formed, such as ada@example.com"))
    return value


def _is_private(domain: str) -> bool:
    has_ending = "." in domain and domain[-2:-1] != "."  # no public ending is one letter
    return not has_ending or f".{domain}".endswith(_PRIVATE_DOMAINS)


def _phone(value: str | None, address: Address | None, errors: list[FieldError]) -> str | None:
    text = typed_phone(value)
    if text is None:
        return None
    try:
        return e164(text, _country(address.country) if address and address.country else None)
    except NoPhoneNumber as reason:
        errors.append(_error("phone", reason.code, str(reason)))
        return value


def _address(address: Address | None, errors: list[FieldError]) -> Address | None:
    if address is None:
        return None
    texts = {name: trimmed(value or "") or None for name, value in address}
    country = texts["country"] = _country(texts["country"] or "")
    required = {"street": True, "city": country not in CITY_OPTIONAL, "postal_code": country in POSTAL_CODE_REQUIRED}
    errors.extend(
        _error(f"address.{to_camel(name)}", "missing", "Required in an address of this country")
        for name, is_required in required.items()
        if is_required and texts[name] is None
    )
    if not country:
        errors.append(_error("address.country", "missing", "Required in an address"))
    elif country not in iso3166.countries_by_alpha2:
        errors.append(_error("address.country", "country_unknown", "Must be an ISO 3166-1 alpha-2 code"))
    return address.model_copy(update=texts)


def _country(code: str) -> str:
    code = trimmed(unicodedata.normalize("NFKC", code))
    code = code.upper() if code.isascii() else code  # ß would become SS, which is South Sudan
    return _OTHER_CODES.get(code, code)
