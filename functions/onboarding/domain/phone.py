"""Telephone numbers: a customer's own, or none. `phonenumbers.parse` alone finds a number in any text."""

import re
import unicodedata

import phonenumbers

# A telephone number: digits of any script, a plus at the start, separators, and no more than one slash.
_NUMBER = re.compile(
    r"(\(?[+\uFF0B])?[\d\s().\-\u2010-\u2015\u2212\uFF08\uFF09\uFF0D\uFF0E]+(/[\d\s.\-\u2010-\u2015]+)?"
)
# What a slash may follow: the area code, as it is dialled within the country or after the country code.
_FIRST_GROUP = re.compile(r"(\+\d{1,3}[\s.()\-]*(\(0\)\s*)?|\(?0)\d{1,5}\)?\s*")
# The same where area codes are dialled without a 0: too short for a subscriber's number.
_FIRST_GROUP_WITHOUT_0 = re.compile(r"\(?\d{2,3}\)?\s*")
_EXTENSION = re.compile(
    r"(#|(?<![^\W\d_])(ext\w*|ex\.|x|app(arat)?|dw|durchwahl|klappe|nebenstelle|poste|int(ern\w*)?|anexo|ramal|toestel|"
    r"wew\w*|klapka|доб\w*|доп\w*|вн\w*|内線|内线|分机|分機|转|轉))"
    r"[\s.:=]*\d{1,7}\s*$",
    re.IGNORECASE,
)
# Until 2019, a 1 stood before a Mexican mobile number of ten digits: telephones have it stored.
_MEXICAN_MOBILE = re.compile(r"^\(?\+52\)?[\s.(-]*1\)?(?=(\D*\d){10}\D*$)")
# Subscribers of one town have numbers of nine digits at most (Brazil's mobiles); area codes differ in length by two.
_LONGEST_LOCAL = 9
_SAME_LENGTH = 2


class NoPhoneNumber(ValueError):
    """The text is not one telephone number for sure; the code and the message say why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def e164(text: str, region: str | None) -> str:
    """Return the number in E.164. A national one is of the region, an ISO 3166-1 alpha-2 code.

    Raises:
        NoPhoneNumber: it has letters or an extension, can't be a number, or may be somebody else's.
    """
    text = re.sub(r"^tel:\s*", "", text, flags=re.IGNORECASE)
    text = re.sub(r"\s", " ", text.replace("ー", "-"))  # the Japanese keyboard's dash, a letter
    text = _MEXICAN_MOBILE.sub("+52 ", text)
    if _EXTENSION.search(unicodedata.normalize("NFKC", text)):
        raise NoPhoneNumber("phone_extension", "Must be without an extension")
    if any(map(str.isalpha, text)):
        raise NoPhoneNumber("phone_letters", "Must have no letters; write a vanity number in digits")
    number = _number(text, region)
    if number is None:
        raise NoPhoneNumber("phone_invalid", "Must be one number in E.164, or of the address's country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_known(phone: str) -> bool:
    """Whether a number in E.164 is in a range that is assigned, as far as the library's data are up to date."""
    return phonenumbers.is_valid_number(phonenumbers.parse(phone))


def _number(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    international = re.sub(r"^(\(?)00", r"\1+", text)
    before, slash, _ = international.partition("/")
    if not _NUMBER.fullmatch(international):
        return None
    if not slash or _FIRST_GROUP.fullmatch(before):
        # Some countries dial more than 00 first, such as 0011: by these, the digits may be another's number.
        numbers = [number for each in (international, text) if (number := _possible(each, region))]
        valid = [number for number in numbers if phonenumbers.is_valid_number(number)] or numbers
        return valid[0] if valid and all(number == valid[0] for number in valid) else None
    has_trunk_0 = not region or phonenumbers.ndd_prefix_for_region(region, strip_non_digits=False) == "0"
    number = None if has_trunk_0 or not _FIRST_GROUP_WITHOUT_0.fullmatch(before) else _possible(text, region)
    return number if number and phonenumbers.is_valid_number(number) else None


def _possible(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    is_possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return number if is_possible and not (region and _may_be_another(number, text, region)) else None


def _may_be_another(number: phonenumbers.PhoneNumber, text: str, region: str) -> bool:
    """Whether a number without the national prefix may be one of the customer's own town, or of another country.

    Where all numbers have about the same length, a longer one can't. Nor can a mobile number.
    """
    digits = phonenumbers.national_significant_number(number)
    plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if not plan or not plan.national_prefix or phonenumbers.normalize_digits_only(text) != digits:
        return False
    lengths = plan.fixed_line.possible_length if plan.fixed_line else (0,)
    is_ambiguous = len(digits) <= _LONGEST_LOCAL or max(lengths) - min(lengths) > _SAME_LENGTH
    return is_ambiguous and phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.MOBILE
