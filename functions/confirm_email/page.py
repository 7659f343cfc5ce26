"""The page behind the link in the e-mail: a person presses a button there, which posts the code."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template

from onboarding.runtime.api import Response

_PAGE = Path(__file__).with_name("page.html")


def respond(language: str, company_name: str) -> Response:
    """Return an API Gateway proxy response with the page, in a language that has a `page.LANGUAGE.json`.

    It loads nothing, posts to its own origin alone, and runs the script that is in its file. No other site learns its
    URL, or may frame it. https://www.w3.org/TR/CSP3/
    """
    source = _PAGE.read_text(encoding="utf-8")
    texts = json.loads(_PAGE.with_suffix(f".{language}.json").read_text(encoding="utf-8"))
    texts |= {
        "language": language,
        "heading": texts["heading"].format(company=company_name),
        "messages": json.dumps(texts["messages"]),
    }
    policy = {
        "default-src": "'none'",
        "script-src": _hash("script", source),
        "style-src": _hash("style", source),
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",  # no text becomes markup
    }
    return {
        "statusCode": int(HTTPStatus.OK),
        "headers": {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
        "body": Template(source).substitute({key: escape(text) for key, text in texts.items()}),
    }


def _hash(element: str, source: str) -> str:
    """The source expression that allows the one script or style in the file, which has no placeholders."""
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", source, re.DOTALL)
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
