"""Mail domains as people misspell them. A customer hears of it at once, and no stranger gets the e-mail."""

import unicodedata

# Endings that no public domain has, typed for .com.
_FOR_COM = frozenset({"c0m", "clm", "cmo", "coim", "comm", "con", "coom", "cpm", "ocm", "vom", "xom"})
# Domains of nobody's mail, by the great provider's that is meant.
_MEANT = {
    misspelt: meant
    for meant, domains in {
        "gmail.com": "gamil.com gmai.com gmaik.com gmaill.com gmal.com gmali.com gmial.com gmil.com gnail.com gmail.cm "
        "gmail.co gmail.om gmailcom",
        "hotmail.com": "hitmail.com homail.com hormail.com hotamil.com hotmai.com hotmaill.com hotmal.com hotmial.com "
        "hotmil.com hotmail.cm hotmail.co hotmail.om hotmailcom",
        "icloud.com": "icloud.cm icloud.co icloud.om icluod.com iclod.com iclould.com icoud.com",
        "outlook.com": "oulook.com outllok.com outlok.com outloo.com outlook.cm outlook.co outlook.om outook.com",
        "yahoo.com": "yaho.com yahho.com yahoo.cm yahoo.co yahoo.om yahooo.com yaoo.com yhaoo.com yhoo.com",
        "gmx.de": "gmx.ed",
        "web.de": "web.ed",
        "t-online.de": "t-online.ed",
    }.items()
    for misspelt in domains.split()
}


def meant_domain(typed: str) -> str | None:
    """Return the domain, or the ending, that was probably meant; None if this is no known typing error."""
    # Also what was typed in full width, or with a full stop of East Asia.
    domain = unicodedata.normalize("NFKC", typed).lower().replace("\u3002", ".").removesuffix(".")
    name, _, ending = domain.rpartition(".")
    provider = f"{name}.com"
    if ending in _FOR_COM:
        return provider if provider in _MEANT.values() else ".com"
    base = unicodedata.normalize("NFKD", domain.replace("\N{LATIN SMALL LETTER DOTLESS I}", "i"))
    base = "".join(character for character in base if not unicodedata.combining(character))
    return base if base != domain and base in _MEANT.values() else _MEANT.get(domain)
