"""Every error of the domain has its answer, and only faults of ours are a 500."""

from collections.abc import Iterator

import asyncpg
import msgspec
import pytest

from invoicing.errors import Invalid, InvoicingError, NotAllowed, NotFound
from ledger.errors import LedgerError, UnsupportedTransfer
from rating.errors import RatingError
from wallet_service.api.error_table import TABLE, refusal
from wallet_service.api.errors import of_wire
from wallet_service.errors import InsufficientFunds, WalletError


def family(error: type[Exception]) -> Iterator[type[Exception]]:
    for child in error.__subclasses__():
        yield child
        yield from family(child)


@pytest.mark.parametrize(
    "error",
    [
        error
        for base in (InvoicingError, WalletError, RatingError, LedgerError)
        for error in family(base)
        if error is not UnsupportedTransfer  # nothing that a client sends can cause it
    ],
    ids=lambda error: f"{error.__module__}.{error.__name__}",
)
def test_every_error_of_the_domain_has_a_row(error: type[Exception]) -> None:
    assert any(kind in TABLE for kind in error.__mro__)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("plan"), 404, "plan_not_found"),
        (NotAllowed("not_voidable"), 405, "not_voidable"),
        (Invalid.field("name", "value_is_mandatory"), 422, "validation_errors"),
        (InsufficientFunds(needed="75", available="50"), 402, "insufficient_funds"),
        (asyncpg.QueryCanceledError("statement timeout"), 503, "busy"),
        (asyncpg.DeadlockDetectedError("deadlock"), 503, "busy"),
        (asyncpg.DiskFullError("no space left"), 503, "database_unavailable"),
        (asyncpg.AdminShutdownError("going down"), 503, "database_unavailable"),
        (asyncpg.ReadOnlySQLTransactionError("a standby"), 503, "database_unavailable"),
        (asyncpg.InterfaceError("pool is closing"), 503, "database_unavailable"),
        (ConnectionRefusedError("nobody there"), 503, "database_unavailable"),
        (FileNotFoundError("no such socket"), 503, "database_unavailable"),
        (TimeoutError(), 503, "busy"),
        (RecursionError(), 400, None),
        (KeyError("a fault of ours"), 500, "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_is_answered(error: Exception, status: int, code: str | None) -> None:
    answer = refusal(error)
    assert (answer.status, answer.code) == (status, code)


def test_what_is_temporary_says_when_to_come_back() -> None:
    assert dict(refusal(TimeoutError()).headers)[b"retry-after"] == b"1"


def test_too_little_money_is_not_to_be_tried_again_and_says_how_much_is_missing() -> None:
    answer = refusal(InsufficientFunds(needed="75", available="50", asset_code="USD"))
    assert dict(answer.headers)[b"x-should-retry"] == b"false"
    assert msgspec.json.decode(answer.body()) == {
        "status": 402,
        "error": "Payment Required",
        "code": "insufficient_funds",
        "error_details": {"needed": "75", "available": "50", "asset_code": "USD"},
    }


def test_a_fault_of_ours_tells_nothing_of_itself() -> None:
    answer = refusal(RuntimeError("select secret from table; key wk_123"))
    assert msgspec.json.decode(answer.body()) == {
        "status": 500,
        "error": "Internal Server Error",
        "code": "internal_error",
    }


@pytest.mark.parametrize(
    ("complaint", "details"),
    [
        ("Object missing required field `code` - at `$.plan`", {"code": ["value_is_mandatory"]}),
        (
            "Object missing required field `key` - at `$.metric.filters[2]`",
            {"filters.2.key": ["value_is_mandatory"]},
        ),
        (
            "Object contains unknown field `bonus` - at `$.authorization.items[0]`",
            {"items.0.bonus": ["unknown_field"]},
        ),
        ("Expected `str`, got `null` - at `$.plan.name`", {"name": ["value_is_mandatory"]}),
        (
            "Expected `int` >= 0 - at `$.plan.amount_cents`",
            {"amount_cents": ["value_is_out_of_range"]},
        ),
        ("Expected `str` of length <= 255 - at `$.plan.name`", {"name": ["value_is_too_long"]}),
        ("Expected `array` of length <= 20 - at `$.a.items`", {"items": ["invalid_count"]}),
        ("Invalid UUID - at `$.a.id`", {"id": ["value_is_invalid"]}),
        ("Object contains unknown field `extra`", {"extra": ["unknown_field"]}),
        (
            "Expected `str`, got `int` - at `$.plan.metadata[...]`",
            {"metadata": ["value_is_invalid"]},
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_named(complaint: str, details: dict[str, list[str]]) -> None:
    assert of_wire(msgspec.ValidationError(complaint)).details == details


def test_a_body_without_its_envelope_is_no_request() -> None:
    answer = of_wire(msgspec.ValidationError("Object missing required field `plan`"))
    assert (answer.status, answer.error) == (
        400,
        "BadRequest: param is missing or the value is empty: plan",
    )
