"""How an invoice becomes final: its content is fixed, the book settles it, its number is taken.

draft, generating ─ fixed ─► finalizing ─ settled by the book ─ concluded ─► finalized, or closed

Pure. Who finalises stores each step before the next, and repeats it after a crash. [ADR 19]
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import structs

from invoicing.fees import Fee
from invoicing.invoice_credits import InvoiceCredit
from invoicing.invoices import Invoice
from invoicing.settlements import Settlement, SettleRequest
from rating.exact import EXACT, ZERO

__all__ = ["concluded", "content_digest", "fixed", "is_nothing", "request_of", "with_hash"]

_encode: Final = msgspec.json.Encoder(decimal_format="string", order="sorted").encode

_normalize: Final = EXACT.normalize

_OF_INVOICE: Final = (
    "organization_id",
    "id",
    "customer_id",
    "billing_entity_id",
    "invoice_type",
    "currency",
    "issuing_date",
    "payment_due_date",
    "timezone",
    "fees_amount_cents",
    "progressive_billing_credit_amount_cents",
    "coupons_amount_cents",
    "taxes_amount_cents",
    "taxes_rate",
    "sub_total_excluding_taxes_amount_cents",
    "sub_total_including_taxes_amount_cents",
    "credit_notes_amount_cents",
    "debited_amount_minor",
    "applied_taxes",
    "customer_as_billed",
    "entity_as_billing",
)
_NOT_CONTENT: Final = frozenset(
    {
        "created_at",
        "updated_at",
        "payment_status",
        "succeeded_at",
        "failed_at",
        "refunded_at",
        "filter_values",
    }
)
"""What follows when it is paid, when it was made, and what the name of a filter says as well."""


def _reader(kind: type[Fee | InvoiceCredit]) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(name for name in kind.__struct_fields__ if name not in _NOT_CONTENT))


_said_by_invoice: Final = attrgetter(*_OF_INVOICE)
_said_by_fee: Final = _reader(Fee)
_said_by_credit: Final = _reader(InvoiceCredit)


def content_digest(
    invoice: Invoice, fees: Iterable[Fee], credits_: Iterable[InvoiceCredit]
) -> bytes:
    """What tells whether two invoices say the same: all but when they were made, and numbers."""
    said = _as_read_back(_said_by_invoice(invoice))
    lines = [_as_read_back(_said_by_fee(fee)) for fee in sorted(fees, key=_line_order)]
    lowered = [
        _as_read_back(_said_by_credit(credit))
        for credit in sorted(credits_, key=lambda credit: credit.id)
    ]
    return blake2b(_encode([said, lines, lowered]), digest_size=32).digest()


def fixed(invoice: Invoice, request: SettleRequest, digest: bytes, *, now: datetime) -> Invoice:
    """An invoice whose amounts stand, with what the book is to be asked."""
    return structs.replace(
        invoice,
        status="finalizing",
        settlement={
            "request": msgspec.to_builtins(request, str_keys=True),
            "content": digest.hex(),
        },
        updated_at=now,
    )


def request_of(invoice: Invoice) -> SettleRequest:
    """What the book is to be asked for an invoice that is being finalised."""
    assert invoice.status == "finalizing", invoice.status
    assert invoice.settlement is not None, "fixed with its request"
    return msgspec.convert(invoice.settlement["request"], SettleRequest)


def concluded(
    invoice: Invoice, settlement: Settlement, *, skips_zero: bool, now: datetime
) -> Invoice:
    """The invoice with what the book has said; final but for its number and hash, or closed."""
    assert invoice.settlement is not None, "fixed with its request"
    is_closed = skips_zero and is_nothing(invoice) and settlement.due_cents == 0
    return structs.replace(
        invoice,
        status="closed" if is_closed else "finalized",
        payment_status="succeeded" if settlement.due_cents == 0 else "pending",
        number="" if is_closed else invoice.number,
        prepaid_credit_amount_cents=settlement.prepaid_cents,
        prepaid_granted_credit_amount_cents=settlement.prepaid_granted_cents,
        prepaid_purchased_credit_amount_cents=settlement.prepaid_purchased_cents,
        total_amount_cents=settlement.due_cents,
        settlement={**settlement.to_json(), "content": invoice.settlement["content"]},
        finalized_at=now,
        tzdata_version=_tzdata_version(),
        updated_at=now,
    )


def with_hash(invoice: Invoice) -> Invoice:
    """The invoice with what tells whether it was ever changed."""
    assert invoice.settlement is not None, "settled"
    said: Sequence[Any] = (
        invoice.settlement["content"],
        invoice.number,
        invoice.prepaid_credit_amount_cents,
        invoice.total_amount_cents,
    )
    return structs.replace(invoice, content_hash=blake2b(_encode(said), digest_size=32).digest())


def is_nothing(invoice: Invoice) -> bool:
    """Whether there is nothing on it: not that there is nothing left to pay."""
    # Lines that make up for each other may be taxed otherwise, and then there is something to pay.
    amounts = invoice.fees_amount_cents, invoice.sub_total_including_taxes_amount_cents
    return amounts == (0, 0) and invoice.invoice_type == "subscription"


def _line_order(fee: Fee) -> tuple[int, UUID]:
    return fee.position, fee.id


def _as_read_back(values: tuple[Any, ...]) -> list[Any]:
    """The same for what was computed and for what is read back, whose numbers are spelt otherwise.

    An amount of 500 may have been 5.0E+2, and in a JSON column the Decimal 20 becomes an int.
    """
    said = list(values)
    for position, value in enumerate(values):
        kind = cast("object", type(value))
        if kind is Decimal:
            said[position] = _normalize(value) if value else ZERO
        elif value and (kind is list or kind is dict):
            said[position] = _in_json(value)
    return said


def _in_json(value: Any) -> Any:
    kind = cast("object", type(value))
    if kind is str or not value:  # what is false is told apart from zero
        return value if kind is not Decimal else 0
    if kind is dict:
        return {key: _in_json(one) for key, one in cast("dict[str, Any]", value).items()}
    if kind is list:
        return [_in_json(one) for one in cast("list[Any]", value)]
    if kind is int:
        return _normalize(Decimal(value))
    return _normalize(value) if kind is Decimal else value


@cache
def _tzdata_version() -> str | None:
    """Which edition of the zones cut its periods."""
    try:
        return version("tzdata")
    except PackageNotFoundError:
        return None
