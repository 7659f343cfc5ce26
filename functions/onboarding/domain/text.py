"""One line of text: the characters that it may not have, and those that nobody sees."""

import re
import unicodedata
from typing import LiteralString

from pydantic_core import PydanticCustomError

from onboarding.domain.misspelt import meant_domain

# Directional formatting can reorder the text around a name, so it is refused like a control character. The marks that
# Arabic, Hebrew and Persian spelling needs (ZWNJ, LRM, RLM, ALM) are not among these.
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
_DIRECTIONAL_FORMATTING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# SQS accepts XML's characters only, and refuses a message with one of these.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_NONCHARACTERS = frozenset("\ufffe\uffff")

# Character classes that Python and ECMA-262 read alike, for `one_line` and for published schemas: characters that no
# text may contain, and invisible ones (white space, and those that are ignorable by default:
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point).
_FORBIDDEN = r"\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069\uFFFD-\uFFFF"
_INVISIBLE = (
    r"\u0020\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F\u202F\u205F-\u206F"
    r"\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8"
)
_VISIBLE = re.compile(f"[^{_FORBIDDEN}{_INVISIBLE}]")
# The pattern of an event's texts. It is released, so it stays.
ONE_LINE = f"^[^{_FORBIDDEN}]*[^{_FORBIDDEN}{_INVISIBLE}][^{_FORBIDDEN}]*$"

# What keyboards and clipboards put around a text: white space, and what is invisible. A variation selector belongs to
# the character before it, so only a first one is.
_AROUND = (
    r"\u0009-\u000D\u0020\u0085\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180E\u2000-\u200F\u2028-\u202F"
    r"\u205F-\u206F\u2800\u3000\u3164\uFEFF\uFFA0\uFFF0-\uFFF8"
)
_SELECTORS = r"\u180B-\u180D\u180F\uFE00-\uFE0F"
# The same beyond U+FFFF: in shorthand, music and tags. Not all languages' patterns can name these, so the published
# ones take what is trimmed or refused here.
_AROUND_BEYOND = r"\U0001BCA0-\U0001BCA3\U0001D159\U0001D173-\U0001D17A\U000E0000-\U000E00FF\U000E01F0-\U000E0FFF"
_SELECTORS_BEYOND = r"\U000E0100-\U000E01EF"
_EDGES = re.compile(rf"\A[{_AROUND}{_AROUND_BEYOND}{_SELECTORS}{_SELECTORS_BEYOND}]+|[{_AROUND}{_AROUND_BEYOND}]+\Z")
_SHOWS_NOTHING = re.compile(rf"[{_INVISIBLE}\u2800]*")
_ANY_UNSEEN = re.compile(rf"[{_INVISIBLE}\u2800{_AROUND_BEYOND}{_SELECTORS_BEYOND}]")
_UNSEEN = re.compile(rf"(?!\s)[{_AROUND}{_AROUND_BEYOND}{_SELECTORS}{_SELECTORS_BEYOND}]")


def code_pattern(code: str) -> str:
    """The pattern of a code in a form: it may be empty."""
    return f"^[{_AROUND}]*({code})?[{_AROUND}]*$"


# The patterns of the API's texts: one that has to show something, one that may be empty, an e-mail address, a country's
# code (in full width too), a language tag (with an underscore too, as operating systems write it), a telephone number.
TYPED = f"^[{_AROUND}]*[^{_FORBIDDEN}]*[^{_FORBIDDEN}{_INVISIBLE}\\u2800][^{_FORBIDDEN}]*[{_AROUND}]*$"
TYPED_OR_EMPTY = f"^[{_AROUND}]*[^{_FORBIDDEN}]*[{_AROUND}]*$"
TYPED_EMAIL = rf"^[{_AROUND}{_SELECTORS}]*[^{_FORBIDDEN}{_INVISIBLE}\u2800]+[{_AROUND}]*$"
TYPED_COUNTRY = code_pattern(r"[A-Za-z\uFF21-\uFF3A\uFF41-\uFF5A]{2}")
TYPED_LOCALE = code_pattern(r"[A-Za-z]{2,3}([-_][0-9A-Za-z]{1,8})*")
TYPED_PHONE = rf"^[{_AROUND}]*[^\u0000-\u0008\u000A-\u001F\u007F-\u009F\u2028\u2029\uFFFD-\uFFFF]*[{_AROUND}]*$"


def one_line(value: str) -> str:
    """Refuse a value that isn't one line of text; otherwise leave it as typed."""
    for character in value:
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"} or character in _DIRECTIONAL_FORMATTING:
            raise PydanticCustomError("control_character", "Must not contain control characters or line breaks")
        if character in _NONCHARACTERS:
            raise PydanticCustomError("noncharacter", "Must not contain noncharacters")
        if character == "\N{REPLACEMENT CHARACTER}":  # what API Gateway puts where the bytes were no UTF-8
            raise PydanticCustomError("invalid_utf8", "Must be valid UTF-8")
    if not _VISIBLE.search(value):
        raise PydanticCustomError("blank", "Must not be blank")
    return value


def trimmed(value: str) -> str:
    """The text without the white space and the invisible characters around it."""
    return _EDGES.sub("", value)


def typed(value: str) -> str:
    """Trim a text from a form, and refuse it unless it is one line that shows something."""
    text = trimmed(value)
    if _SHOWS_NOTHING.fullmatch(text):
        raise PydanticCustomError("blank", "Must not be blank")
    return one_line(text)


def typed_or_absent(value: str | None) -> str | None:
    """Trim a text from a form; one that shows nothing is absent."""
    return None if value is None or _SHOWS_NOTHING.fullmatch(trimmed(value)) else typed(value)


def typed_email(value: str) -> str:
    """Trim an e-mail address, and refuse white space, invisible characters and misspelt domains in it."""
    text = typed(value)
    if _ANY_UNSEEN.search(text):
        raise PydanticCustomError("invisible_character", "Must not contain spaces or invisible characters")
    if meant := meant_domain(text.rpartition("@")[2]):
        raise PydanticCustomError("domain_misspelt", "Did you mean {meant}?", {"meant": meant})
    return text


def typed_country(value: str | None) -> str | None:
    """Trim a country's code, and refuse what can't be one; whether there is such a country is a business rule."""
    return typed_code(value, TYPED_COUNTRY, "country_unknown", "Must be an ISO 3166-1 alpha-2 code, such as DE")


def typed_locale(value: str | None) -> str | None:
    """Trim a language tag, and refuse what is none."""
    tag = typed_code(value, TYPED_LOCALE, "locale_invalid", "Must be a language tag, such as de-AT")
    return tag and tag.replace("_", "-")


def typed_code(value: str | None, pattern: str, code: LiteralString, message: LiteralString) -> str | None:
    """Trim a code from a form, and refuse what the `code_pattern` doesn't match; an empty one is absent."""
    if value is None:
        return None
    if not re.fullmatch(pattern.removesuffix("$"), value):
        raise PydanticCustomError(code, message)
    return trimmed(value) or None


def shown(value: str) -> str:
    """The text without the invisible characters in it; white space stays."""
    return _UNSEEN.sub("", value)


def typed_phone(value: str | None) -> str | None:
    """Trim a telephone number, and drop what is invisible in it, as telephones copy it."""
    return typed_or_absent(None if value is None else shown(value).replace("\t", " "))
