"""What a refusal looks like over HTTP.

The body is Lago's: `{"status", "error", "code"?, "error_details"?}`. Where a field is wrong,
`error_details` names it with stable codes. We add `message`, where there is more to say in words.
Nobody ever sees a stack, a query or a secret.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode

RETRY_AFTER_S: Final = 1


class ErrorBody(Struct, omit_defaults=True):
    """The body of every answer that is not 200."""

    status: int
    error: str
    code: str | None = None
    error_details: dict[str, Any] | None = None
    message: str | None = None


class Refusal(Struct, frozen=True, kw_only=True):
    """A refusal, ready to be sent."""

    status: int
    code: str | None = None
    details: Mapping[str, Any] | None = None
    message: str | None = None
    error: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self) -> bytes:
        """Encode as Lago does."""
        phrase = self.error or _PHRASES.get(self.status) or HTTPStatus(self.status).phrase
        return _encode(
            ErrorBody(
                status=self.status,
                error=phrase,
                code=self.code,
                error_details=dict(self.details) if self.details else None,
                message=self.message or None,
            )
        )


# Rack's names, which Lago answers with, where Python's differ.
_PHRASES: Final = {422: "Unprocessable Entity", 413: "Payload Too Large"}


class ApiError(Exception):
    """A refusal that only a door can make."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code or refusal.error or str(refusal.status))
        self.refusal = refusal


def bad_request(reason: str) -> ApiError:
    """The request cannot be read at all."""
    return ApiError(Refusal(status=400, error=f"BadRequest: {reason}"))


def unauthorized() -> ApiError:
    """No key, or none that opens anything."""
    return ApiError(Refusal(status=401))


def forbidden(code: str) -> ApiError:
    """The key is good, but not for this."""
    return ApiError(Refusal(status=403, code=code))


def too_large(bytes_max: int) -> ApiError:
    """The body is longer than we read."""
    message = f"a body may have {bytes_max} bytes here"
    return ApiError(Refusal(status=413, code="payload_too_large", message=message))


def encoded() -> ApiError:
    """The body is compressed, which may hide any length."""
    message = "send the body as it is, without Content-Encoding"
    return ApiError(Refusal(status=415, code="unsupported_content_encoding", message=message))


def field_error(field: str, code: str, message: str | None = None) -> ApiError:
    """One field is wrong."""
    return ApiError(invalid({field: [code]}, message))


def invalid(details: Mapping[str, Any], message: str | None = None) -> Refusal:
    """Fields are wrong."""
    return Refusal(status=422, code="validation_errors", details=details, message=message)


def unavailable(code: str) -> Refusal:
    """Not now; the same request may succeed later."""
    headers = ((b"retry-after", str(RETRY_AFTER_S).encode()),)
    return Refusal(status=503, code=code, headers=headers)


# --- what msgspec says of a body

_AT: Final = re.compile(
    r"^(?P<what>.*?)(?: - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`)?$", re.DOTALL
)
_NAMED: Final = re.compile(
    r"^Object (?:missing required|contains unknown) field `(?P<name>[^`]*)`$"
)


def of_wire(error: msgspec.ValidationError, *, is_bare: bool = False) -> Refusal:
    """Name the field that msgspec complains of, and give its complaint a stable code.

    `is_bare`: the body has no envelope, so that its first fields are named too.

    >>> complaint = "Expected `int`, got `str` - at `$.plan.charges[0].min_amount_cents`"
    >>> of_wire(msgspec.ValidationError(complaint)).details
    {'charges.0.min_amount_cents': ['value_is_invalid']}
    """
    match = _AT.match(str(error))
    assert match is not None
    what, path = match["what"], match["path"] or ""
    named = _NAMED.match(what)
    segments = [segment for segment in re.split(r"[.\[\]]+", path) if segment]
    if is_bare and (segments or named):
        segments.insert(0, "body")
    if named:
        segments.append(named["name"])
    if len(segments) <= 1:  # the envelope itself
        root = segments[0] if segments else ""
        if named and "unknown" in what:
            return invalid({root: ["unknown_field"]})
        if root and " of length " in what:  # an envelope that is the value itself
            return invalid({root: [code_of(what)]})
        missing = f"param is missing or the value is empty: {root}"
        reason = missing if root else "the body is no object"
        return bad_request(reason).refusal
    return invalid({".".join(segments[1:]): [code_of(what)]})


def code_of(what: str) -> str:
    """The stable code of a complaint of msgspec's."""
    if what.startswith("Object missing") or "got `null`" in what:
        return "value_is_mandatory"
    if what.startswith("Object contains unknown"):
        return "unknown_field"
    if " of length " in what:
        return "invalid_count" if "array" in what or "object" in what else "value_is_too_long"
    if what == "Number out of range" or re.search(r"[<>]=? ?-?[0-9.]", what):
        return "value_is_out_of_range"
    return "value_is_invalid"
