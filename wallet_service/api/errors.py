"""What a refusal looks like over HTTP: one table from errors to status and code.

The body is Lago's: `{"status", "error", "code"?, "error_details"?}`. Where a field is wrong,
`error_details` names it with stable codes. We add `message`, where there is more to say in words.
Nobody ever sees a stack, a query or a secret.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import asyncpg
import msgspec
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from msgspec import Struct

import invoicing.errors as invoicing
import ledger.errors as ledger
import rating.errors as rating
import wallet_service.errors as wallet

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


_NO_RETRY: Final = ((b"x-should-retry", b"false"),)


def _denied(error: wallet.Denied) -> Refusal:
    """Too little money is never a 429, and says that a repeat is no use: SDKs retry otherwise."""
    return Refusal(status=402, code=error.code, details=error.details, headers=_NO_RETRY)


def _database_down(_: Exception) -> Refusal:
    return unavailable("database_unavailable")


def _busy(_: Exception) -> Refusal:
    return unavailable("busy")


def _ledger_down(_: Exception) -> Refusal:
    return unavailable("ledger_unavailable")


def _not_stored(_: Exception) -> Refusal:
    """What no check of ours caught and Postgres will not store: the caller's, not our fault."""
    return invalid({"base": ["value_is_invalid"]})


# The first row whose class fits answers, so a class stands before its bases.
TABLE: Final[Mapping[type[Exception], Callable[[Any], Refusal]]] = {
    ApiError: lambda error: error.refusal,
    # --- invoicing
    invoicing.NotFound: lambda error: Refusal(status=404, code=error.code),
    invoicing.NotAllowed: lambda error: Refusal(status=405, code=error.code),
    invoicing.Invalid: lambda error: invalid(error.details, error.message),
    # --- wallet
    wallet.Denied: _denied,
    wallet.NotFound: lambda error: Refusal(status=404, code=error.code),
    wallet.NotAllowed: lambda error: Refusal(status=405, code=error.code),
    wallet.Invalid: lambda error: invalid({error.field: [error.code]}, error.message),
    wallet.Unavailable: lambda error: unavailable(error.code),
    # --- rating
    rating.UnknownCode: lambda error: invalid({error.field: ["value_is_invalid"]}, str(error)),
    rating.MissingProperty: lambda error: invalid(
        {f"properties.{error.field}": ["value_is_mandatory"]}, str(error)
    ),
    rating.InvalidQuantity: lambda error: invalid(
        {f"properties.{error.field}": ["value_is_invalid"]}, str(error)
    ),
    rating.InvalidMember: lambda error: invalid(
        {f"properties.{error.field}": ["value_is_invalid"]}, str(error)
    ),
    rating.UnknownPrice: lambda error: invalid(
        {f"properties.{error.field}": ["value_is_invalid"]}, str(error)
    ),
    rating.ExpressionFailed: lambda error: invalid(
        {f"properties.{error.field}" if error.field else "expression": [error.reason]}, str(error)
    ),
    rating.InvalidExpression: lambda error: invalid(
        {error.field: ["invalid_expression"]}, str(error)
    ),
    rating.InvalidModel: lambda error: invalid({error.field: [error.reason]}, str(error)),
    # --- ledger
    ledger.InvalidAmount: lambda error: invalid({"amount": [error.reason]}, str(error)),
    ledger.UnknownAccount: lambda _: Refusal(status=404, code="account_not_found"),
    ledger.OutcomePending: lambda _: unavailable("outcome_pending"),
    ledger.LedgerUnavailable: _ledger_down,
    ledger.LedgerConflict: _busy,
    # --- Postgres
    asyncpg.QueryCanceledError: _busy,
    asyncpg.LockNotAvailableError: _busy,
    asyncpg.DeadlockDetectedError: _busy,
    asyncpg.SerializationError: _busy,
    asyncpg.InvalidCachedStatementError: _busy,
    asyncpg.UniqueViolationError: _busy,  # two made the same thing at once: the next try sees it
    asyncpg.InsufficientResourcesError: _database_down,
    asyncpg.OperatorInterventionError: _database_down,
    asyncpg.PostgresConnectionError: _database_down,
    asyncpg.PostgresSystemError: _database_down,
    asyncpg.ReadOnlySQLTransactionError: _database_down,
    asyncpg.DataError: _not_stored,
    asyncpg.exceptions.PostgresIOError: _database_down,
    asyncpg.InterfaceError: _database_down,
    # --- the wire
    msgspec.ValidationError: lambda error: of_wire(error),  # noqa: PLW0108 (defined below)
    UnicodeDecodeError: lambda _: bad_request("the body is not UTF-8").refusal,
    msgspec.DecodeError: lambda _: bad_request("the body is not JSON").refusal,
    RecursionError: lambda _: bad_request("the body is nested too deeply").refusal,
    # --- Litestar
    NotFoundException: lambda _: Refusal(status=404, code="resource_not_found"),
    MethodNotAllowedException: lambda error: _wrong_method(error),  # noqa: PLW0108
    ValidationException: lambda error: _of_parameters(error),  # noqa: PLW0108
    ClientException: lambda error: _of_client(error),  # noqa: PLW0108
    HTTPException: lambda error: Refusal(status=error.status_code),
    # --- the rest of the world
    OSError: _database_down,  # no server, no socket, no route to it
    TimeoutError: _busy,
}

_INTERNAL: Final = Refusal(status=500, code="internal_error")


def refusal(error: BaseException) -> Refusal:
    """What to answer; status 500 means that the fault is ours and must be logged."""
    kinds: tuple[Any, ...] = type(error).__mro__
    for kind in kinds:
        row: Any = TABLE.get(kind)
        if row is not None:
            answer: Refusal = row(error)
            return answer
    return _INTERNAL


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
            return invalid({root: [_code(what)]})
        missing = f"param is missing or the value is empty: {root}"
        reason = missing if root else "the body is no object"
        return bad_request(reason).refusal
    return invalid({".".join(segments[1:]): [_code(what)]})


def _code(what: str) -> str:
    if what.startswith("Object missing") or "got `null`" in what:
        return "value_is_mandatory"
    if what.startswith("Object contains unknown"):
        return "unknown_field"
    if " of length " in what:
        return "invalid_count" if "array" in what or "object" in what else "value_is_too_long"
    if what == "Number out of range" or re.search(r"[<>]=? ?-?[0-9.]", what):
        return "value_is_out_of_range"
    return "value_is_invalid"


# --- what Litestar says of a query string or a header


def _of_parameters(error: ValidationException) -> Refusal:
    entries: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    details = {
        str(entry["key"]): [_code(str(entry.get("message", "")))]
        for entry in entries
        if entry.get("key")
    }
    if details.keys() == {"data"}:
        return bad_request("the body is missing").refusal
    return invalid(details) if details else bad_request("the query string cannot be read").refusal


def _wrong_method(error: HTTPException) -> Refusal:
    given: dict[str, Any] = error.headers or {}
    allowed = tuple(
        (b"allow", str(value).encode()) for name, value in given.items() if name.lower() == "allow"
    )
    return Refusal(status=405, code="method_not_allowed", headers=allowed)


def _of_client(error: ClientException) -> Refusal:
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Refusal(status=413, code="payload_too_large")
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return bad_request("the request cannot be read").refusal
    return Refusal(status=error.status_code)
