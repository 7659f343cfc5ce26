"""Mail domains as people misspell them. A customer hears of it at once, and no stranger gets the e-mail."""

import unicodedata
from itertools import takewhile

# Great providers with names so long that no other provider's is one slip away; of two others, `.ed` is recognised.
_PROVIDERS = tuple(
    f"{name}.{ending}"
    for name, endings in {
        "gmail": ["com"],
        "googlemail": ["com"],
        "hotmail": ["com", "co.uk", "de", "es", "fr", "it"],
        "icloud": ["com"],
        "outlook": ["com", "de", "es", "fr"],
        "protonmail": ["com"],
        "t-online": ["de"],
        "yahoo": ["com", "co.uk", "de", "es", "fr", "it"],
    }.items()
    for ending in endings
)
_BY_ENDING = ("gmx.de", "web.de")
# Each row is half a key to the right of the one above.
_KEYBOARD = ("1234567890", "qwertyuiop", "asdfghjkl;", "zxcvbnm,.")
_PLACES = {key: (row, column) for row, keys in enumerate(_KEYBOARD) for column, key in enumerate(keys)}
_NEIGHBOURS = {(0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0)}


def meant_domain(typed: str) -> str | None:
    """Return the domain, or the endings, that were probably meant; None if this is no known typing error."""
    # Also what was typed in full width, or with a full stop of East Asia.
    domain = unicodedata.normalize("NFKC", typed).lower().replace("\u3002", ".").removesuffix(".")
    base = unicodedata.normalize("NFKD", domain.replace("\N{LATIN SMALL LETTER DOTLESS I}", "i"))
    base = "".join(character for character in base if not unicodedata.combining(character))
    if "." not in base and f"{base}.com" in _PROVIDERS:
        return f"{base}.com"
    name, _, ending = domain.rpartition(".")
    if meant := _meant_ending(ending):
        base = f"{name}.{meant}"
    if base in _PROVIDERS + _BY_ENDING:
        return None if base == domain else base
    provider = next((each for each in _PROVIDERS if _is_misspelt(base, each)), None)
    return provider or (".de or .edu" if meant == "de" else meant and f".{meant}")


def _meant_ending(ending: str) -> str | None:
    """An ending that no public domain has. Countries' are two letters: .cm, .co and .om are such."""
    if ending == "ed":
        return "de"
    return "com" if len(ending) > len("co") and _is_slip(ending, "com") else None


def _is_misspelt(domain: str, provider: str) -> bool:
    """Whether it is, but for the first letter, which hardly anybody misses: mail.com and ymail.com are real.

    Endings other than .com are a key away from another country's.
    """
    if not domain.startswith((provider[0], provider[1::-1])):
        return False
    if provider.endswith(".com"):
        return _is_slip(domain, provider)
    name, _, ending = provider.partition(".")
    return domain.endswith(f".{ending}") and _is_slip(domain.removesuffix(f".{ending}"), name)


def _is_slip(typed: str, meant: str) -> bool:
    """Whether two characters are swapped, one is missing, or a key was hit twice, or its neighbour with or for it."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(typed, meant, strict=False)))
    wrong, right = typed[same:], meant[same:]
    return bool(right or wrong) and (
        wrong == right[1::-1] + right[2:]
        or wrong == right[1:]
        or (wrong[1:] == right[1:] and (_are_neighbours(wrong[:1], right[:1]) or wrong[:1] == typed[same - 1 : same]))
        or (wrong[1:] == right and any(_are_neighbours(wrong[0], key) for key in meant[max(same - 1, 0) : same + 1]))
    )


def _are_neighbours(one: str, other: str) -> bool:
    if one == other or one not in _PLACES or other not in _PLACES:
        return one == other
    (row, column), (other_row, other_column) = _PLACES[one], _PLACES[other]
    return (other_row - row, other_column - column) in _NEIGHBOURS
