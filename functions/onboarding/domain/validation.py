"""The business rules of a registration, and the normalised form of what passes them.

All broken rules are reported, not the first. An error names its field and the reason, never the value.
"""

import unicodedata

import iso3166
import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic.alias_generators import to_camel

from onboarding.domain.errors import CustomerInvalid, FieldError
from onboarding.domain.models import Address, CustomerData

# Top-level domains that are never public, beside those that email_validator knows: RFC 6761 (6.5), RFC 6762 (appendix
# G), and https://www.icann.org/en/board-activities-and-meetings/materials/approved-board-resolutions-2018-02-04-en.
_PRIVATE_DOMAINS = frozenset({"corp", "example", "home", "internal", "intranet", "lan", "mail", "private"})


def validate(customer: CustomerData) -> CustomerData:
    """Check every rule and return the customer normalised.

    Normalised: texts without outer spaces, the e-mail address in the ASCII form that can be mailed to, the phone
    number in E.164, the country in upper case.

    Raises:
        CustomerInvalid: with all errors, if a rule is broken.
    """
    errors: list[FieldError] = []
    first_name = _first_name(customer.first_name, errors)
    email = _email(customer.email, errors)
    phone = _phone(customer.phone, customer.address, errors)
    address = _address(customer.address, errors)
    if errors:
        raise CustomerInvalid(errors)
    last_name = customer.last_name.strip()
    normalised = {"first_name": first_name, "last_name": last_name, "email": email, "phone": phone, "address": address}
    return customer.model_copy(update=normalised)


def _error(field: str, code: str, message: str) -> FieldError:
    return {"field": field, "code": code, "message": message}


def _first_name(value: str, errors: list[FieldError]) -> str:
    """A first name has two letters or more, or one ideograph.

    Letters are counted decomposed: an accent adds none, while a Hangul syllable is the two or three letters that it
    is written with.
    """
    letters = [c for c in unicodedata.normalize("NFD", value) if unicodedata.category(c).startswith("L")]
    if len(letters) < 2 and not any(unicodedata.name(c, "").startswith("CJK ") for c in letters):  # noqa: PLR2004
        errors.append(_error("firstName", "name_too_short", "Must have two letters or more"))
    return value.strip()


def _email(value: str, errors: list[FieldError]) -> str:
    """Return the ASCII form: SES takes no other (RFC 6531 isn't supported), so a domain goes as punycode.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
    """
    try:
        address = validate_email(
            unicodedata.normalize("NFKC", value).strip(),
            allow_smtputf8=False,
            check_deliverability=False,
            strict=True,  # at most 64 characters before the @, as RFC 5321 has it
        )
    except EmailNotValidError:
        address = None
    if address is None or address.ascii_domain.rpartition(".")[2] in _PRIVATE_DOMAINS:
        errors.append(_error("email", "email_invalid", "Must be a well-formed address under a public domain"))
        return value
    return address.ascii_email or address.normalized


def _phone(value: str | None, address: Address | None, errors: list[FieldError]) -> str | None:
    if value is None:
        return None
    region = address.country if address else None
    try:
        number = phonenumbers.parse(value, region.strip().upper() if region else None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_valid_number(number):
        errors.append(_error("phone", "phone_invalid", "Must be valid in E.164, or in the country of the address"))
        return value
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _address(address: Address | None, errors: list[FieldError]) -> Address | None:
    if address is None:
        return None
    texts = {name: value.strip() for name, value in address if value is not None}
    errors.extend(
        _error(f"address.{to_camel(name)}", "missing", "Required in an address")
        for name, value in address
        if value is None
    )
    if "country" in texts:
        if texts["country"].isascii():  # ß would become SS, which is South Sudan
            texts["country"] = texts["country"].upper()
        if texts["country"] not in iso3166.countries_by_alpha2:
            errors.append(_error("address.country", "country_unknown", "Must be an ISO 3166-1 alpha-2 code"))
    return address.model_copy(update=texts)
