"""The API's requests and answers; problems are documents of RFC 9457."""

import functools
import json
import re
from base64 import b64decode
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from hashlib import sha256
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from onboarding.domain.customer import RegistrationForm
from onboarding.domain.errors import FieldError
from onboarding.domain.models import CustomerId, Message
from onboarding.domain.registration import RegistrationRequest
from onboarding.runtime import aws, failures

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.typing import LambdaContext

Response = dict[str, Any]
Handler = Callable[[dict[str, Any], "LambdaContext"], Response]
Document = TypeVar("Document", bound=Message)

MAX_BODY_BYTES = 16 * 1024
MAX_DAYS = 92
# In quotes, which with the backslashes inside don't count, or without any.
# https://www.rfc-editor.org/rfc/rfc8941#name-strings
IDEMPOTENCY_KEY = r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!-~]([ -~]{0,253}[!-~])?)$'

_CUSTOMER_ID = TypeAdapter(CustomerId)
# https://www.rfc-editor.org/rfc/rfc9110#name-accept-language
_LANGUAGE_RANGE = re.compile(r"([A-Za-z]{2,3}(?:-[0-9A-Za-z]{1,8}){0,3})(?:\s*;\s*q=([01](?:\.\d{0,3})?))?")
# https://www.rfc-editor.org/rfc/rfc9110#name-etag
_OPAQUE_TAG = re.compile(r'"[!#-~\x80-\xff]*"')

# Pydantic's own words are for programmers, and name our classes.
_MESSAGES = {
    "missing": "Required",
    "extra_forbidden": "Unknown field",
    "model_type": "Must be a JSON object",
    "string_type": "Must be a string",
    "string_too_short": "Must not be empty",
    "string_too_long": "Must have at most {max_length} characters",
}
# RFC 9110's names, which Python has from 3.13 on.
_TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


def title(status: HTTPStatus) -> str:
    """Return the name of a status, the same for every version of Python."""
    return _TITLES.get(status, status.phrase)


class Problem(Message):
    """A problem document. The type is always `about:blank`, so title and status say the same.

    https://www.rfc-editor.org/rfc/rfc9457
    """

    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
    attempts_left: Annotated[int | None, Field(description="After a wrong code: how many more are allowed")] = None


class RequestRefused(Exception):
    """The request is refused; the problem says why. `retry_after` is in seconds, `location` says more."""

    def __init__(  # noqa: PLR0913 - what the answer says
        self,
        status: HTTPStatus,
        detail: str,
        errors: list[FieldError] | None = None,
        *,
        retry_after: int | None = None,
        location: str | None = None,
        attempts_left: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            title=title(status), status=status, detail=detail, errors=errors, attempts_left=attempts_left
        )
        headers = {"Retry-After": retry_after, "Location": location}
        self.headers = {name: str(value) for name, value in headers.items() if value is not None}


def endpoint(  # noqa: PLR0913 - what its answers and log lines say
    logger: "Logger",
    *,
    allow_origin: str,
    refused: str,
    failed: str,
    unavailable: str,
    outages: tuple[type[Exception], ...] = aws.FAILURES,
    refusals: Mapping[type[Exception], RequestRefused] = MappingProxyType({}),
    count_refusal: Callable[[], None] = lambda: None,
) -> Callable[[Handler], Handler]:
    """Make a handler of the API: it answers refusals and outages with problem documents, and sets the CORS headers.

    A `RequestRefused` is answered and logged as `refused`; so is an error in `refusals`, by what that maps it to. Any
    of `outages` is answered 503, with `unavailable` as its detail, and is logged as `failed` first.
    """

    def refuse(error: RequestRefused) -> Response:
        logger.info(refused, status=error.problem.status, reason=error.problem.detail)
        count_refusal()
        return respond(error.problem.status, error.problem, **error.headers)

    def decorate(handler: Handler) -> Handler:
        @logger.inject_lambda_context(clear_state=True)
        @failures.logged(logger)
        @functools.wraps(handler)
        def answer(event: dict[str, Any], context: "LambdaContext") -> Response:
            logger.append_keys(correlation_id=event["requestContext"]["requestId"])
            try:
                response = handler(event, context)
            except RequestRefused as error:
                response = refuse(error)
            except tuple(refusals) as error:
                response = refuse(refusals[type(error)])
            except outages:
                logger.exception(failed)
                response = refuse(RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, unavailable, retry_after=5))
            response["headers"] |= {
                "Access-Control-Allow-Origin": allow_origin,
                "Access-Control-Expose-Headers": "ETag,Location,Retry-After",
            }
            return response

        return answer

    return decorate


def parse_request(event: dict[str, Any]) -> RegistrationRequest:
    """Read an API Gateway proxy event.

    Raises:
        RequestRefused: 400 with an error for each wrong field, 413 or 415.
    """
    headers = _headers(event)
    body = _taken_body(event)
    key = _idempotency_key(headers.get("idempotency-key"))
    form = _parsed(body, RegistrationForm, "registration")
    return RegistrationRequest(customer=form.customer(), idempotency_key=key, language=language_in(event))


def document_in(event: dict[str, Any], model: type[Document], what: str) -> Document:
    """Read the body of an API Gateway proxy event as this model; `what` names it in the problem.

    Raises:
        RequestRefused: 400 with an error for each wrong field, 413 or 415.
    """
    return _parsed(_taken_body(event), model, what)


def language_in(event: dict[str, Any]) -> str | None:
    """Return the language tag in Accept-Language with the greatest weight, or the first of these.

    https://www.rfc-editor.org/rfc/rfc9110#name-accept-language
    """
    preferred, weight = None, 0.0
    tags = _headers(event).get("accept-language", "").split(",")
    for found in filter(None, (_LANGUAGE_RANGE.fullmatch(it.strip()) for it in tags)):
        if float(found[2] or 1) > weight:
            preferred, weight = found[1], float(found[2] or 1)
    return preferred


def url_of(event: dict[str, Any]) -> str | None:
    """Return the URL that API Gateway was called by, which may be a custom domain's; None if that is unknown."""
    context = event["requestContext"]
    return f"https://{context['domainName']}{context['path'].rstrip('/')}" if "domainName" in context else None


def customer_id_in(event: dict[str, Any]) -> str:
    """Read the customerId in the path of an API Gateway proxy event.

    Raises:
        RequestRefused: 404, if no customer can have this id.
    """
    try:
        return _CUSTOMER_ID.validate_python(event["pathParameters"]["customerId"])
    except ValidationError:
        raise RequestRefused(HTTPStatus.NOT_FOUND, "No onboarding with this id.") from None


def period_in(event: dict[str, Any], today: date) -> tuple[date, date]:
    """Read `from` and `to` in the query of an API Gateway proxy event: the first and the last day, both included.

    `to` defaults to today, `from` to six days before `to`.

    Raises:
        RequestRefused: 400, with an error for each wrong parameter.
    """
    query: dict[str, str] = event.get("queryStringParameters") or {}
    errors: list[FieldError] = [
        {"field": name, "code": "extra_forbidden", "message": "Unknown query parameter"}
        for name in sorted(query.keys() - {"from", "to"})
    ]
    last = _day(query, "to", errors) or today
    first = _day(query, "from", errors) or max(last, date.min + timedelta(days=6)) - timedelta(days=6)
    if not errors and not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
        message = f"Must be on or after `from`, and at most {MAX_DAYS - 1} days later"
        errors.append({"field": "to", "code": "period_invalid", "message": message})
    if errors:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "The period is invalid; see errors.", errors)
    return first, last


def _day(query: dict[str, str], name: str, errors: list[FieldError]) -> date | None:
    if name not in query:
        return None
    try:
        day = date.fromisoformat(query[name])
    except ValueError:
        day = None
    if day is None or day.isoformat() != query[name]:  # Python accepts other forms of ISO 8601 too
        errors.append({"field": name, "code": "date_invalid", "message": "Must be a date, such as 2026-11-23"})
    return day


def status_url(customer_id: str, posted_to: str) -> str:
    """Return the URL of a customer's onboarding, relative to the path that the registration was posted to.

    A relative URL works behind any prefix: a stage, or a custom domain's base path.
    https://www.rfc-editor.org/rfc/rfc9110#name-location
    """
    collection = "" if posted_to.endswith("/") else "customers/"
    return f"{collection}{customer_id}/onboarding"


def respond(status: int, document: Message, **headers: str) -> Response:
    """Return an API Gateway proxy response that carries the document as JSON."""
    media_type = "application/problem+json" if isinstance(document, Problem) else "application/json"
    return {
        "statusCode": int(status),
        "headers": {"Content-Type": media_type, **headers},
        "body": document.model_dump_json(by_alias=True, exclude_none=True),
    }


def no_content() -> Response:
    """Return an API Gateway proxy response without a body."""
    return {"statusCode": int(HTTPStatus.NO_CONTENT), "headers": {}, "body": ""}


def respond_if_changed(event: dict[str, Any], document: Message, **headers: str) -> Response:
    """Return 200 with the document and its ETag, or 304 if the request's If-None-Match has that tag.

    https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match
    """
    response = respond(HTTPStatus.OK, document, **headers)
    etag = f'"{sha256(response["body"].encode()).hexdigest()}"'
    response["headers"] |= {"ETag": etag, "Cache-Control": "no-cache"}
    headers = _headers(event)
    known = headers.get("if-none-match", "")
    if known.strip() == "*" or etag in _OPAQUE_TAG.findall(known):  # weak or not: W/ stands before the quotes
        del response["headers"]["Content-Type"]
        response |= {"statusCode": int(HTTPStatus.NOT_MODIFIED), "body": ""}
    return response


def _headers(event: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _refuse_other_media(headers: dict[str, str]) -> None:
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if media_type != "application/json":
        raise RequestRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The Content-Type must be application/json.")
    charsets = {text.strip(' "') for name, _, text in (it.partition("=") for it in parameters) if name == "charset"}
    if not charsets <= {"utf-8", "utf8", "us-ascii"}:
        raise RequestRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The charset must be UTF-8.")
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise RequestRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must have no Content-Encoding.")


def _idempotency_key(header: str | None) -> str | None:
    """The key, with or without the quotes that the IETF's draft puts around it.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    """
    if header is None:
        return None
    key = header.strip(" \t")
    quoted = re.fullmatch(r'"((?:[^"\\]|\\["\\])*)"', key)
    if not re.fullmatch(IDEMPOTENCY_KEY, key) or (quoted and not quoted[1].strip()):
        message = "Must be 1 to 255 printable ASCII characters"
        raise _invalid([{"field": "Idempotency-Key", "code": "header_invalid", "message": message}], "registration")
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else key


def _taken_body(event: dict[str, Any]) -> bytes:
    """The body; refuses what isn't JSON, or is too large."""
    _refuse_other_media(_headers(event))
    body = _body(event)
    if len(body) > MAX_BODY_BYTES:
        raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body must be at most {MAX_BODY_BYTES} bytes.")
    return body


def _parsed(body: bytes, model: type[Document], what: str) -> Document:
    try:
        # In two steps: model_validate_json would accept `postal_code` too, the field's name in Python.
        return model.model_validate(_json(body, what), extra="forbid", by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise _invalid([_field_error(it) for it in details], what) from None


def _body(event: dict[str, Any]) -> bytes:
    body: str = event.get("body") or ""
    # UTF-8 has no lone surrogates; encoded anyway, the JSON parser reports one as invalid.
    return b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")


def _json(body: bytes, what: str) -> Any:  # noqa: ANN401 - any JSON
    body = body.removeprefix(BOM_UTF8)
    try:
        document = from_json(body)
    except ValueError as error:
        raise _invalid([{"field": "body", "code": "json_invalid", "message": f"Invalid JSON: {error}"}], what) from None
    json.loads(body, object_pairs_hook=functools.partial(_refuse_repeated_keys, what=what))
    return document


def _refuse_repeated_keys(pairs: list[tuple[str, Any]], what: str) -> None:
    """Refuse an object that has a key twice: readers differ in which of the values they take."""
    repeated = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    if repeated:
        errors: list[FieldError] = [
            {"field": key[:100], "code": "repeated_key", "message": "Must come once"} for key in repeated
        ]
        raise _invalid(errors, what)


def _field_error(details: ErrorDetails) -> FieldError:
    # The caller chose an unknown field's name, of any length.
    field = ".".join(str(part)[:100] for part in details["loc"]) or "body"
    code = details["type"]
    message = _MESSAGES[code].format_map(details.get("ctx", {})) if code in _MESSAGES else details["msg"]
    return {"field": field, "code": code, "message": message}


def _invalid(errors: list[FieldError], what: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, f"The {what} is invalid; see errors.", errors)
