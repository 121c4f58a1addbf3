"""One table from errors to what is answered: status, code, details."""

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

import invoicing.errors as invoicing
import ledger.errors as ledger
import rating.errors as rating
import wallet_service.errors as wallet
from wallet_service.api.errors import (
    ApiError,
    Refusal,
    bad_request,
    code_of,
    invalid,
    of_wire,
    unavailable,
)

__all__ = ["TABLE", "refusal"]

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
    msgspec.ValidationError: lambda error: of_wire(error),  # noqa: PLW0108 (it has a second parameter)
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


# --- what Litestar says of a query string or a header


def _of_parameters(error: ValidationException) -> Refusal:
    entries: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    details = {
        str(entry["key"]): [code_of(str(entry.get("message", "")))]
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
