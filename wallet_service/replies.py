"""The first replies of operations: their wire shapes.

Stored verbatim and sent again for a repeated key. Amounts are decimal strings in the asset's unit;
times are ISO 8601 in UTC. These structs are also what the API's OpenAPI document shows.
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ledger import money

if TYPE_CHECKING:
    from wallet_service.decision.commands import Asset
    from wallet_service.decision.outcomes import TransactionRow as TransactionTerms

__all__ = [
    "AuthorizationBody",
    "AuthorizationReply",
    "DebitBody",
    "EventBody",
    "EventReply",
    "GrantShare",
    "ItemAmount",
    "PassedBudget",
    "encode",
    "iso",
    "iso_milliseconds",
]

_MILLISECOND_US = 1000
_UTC = "+00:00"
_TIMES_KEPT = 1024
"""A batch has one time, which all its replies tell."""


@lru_cache(_TIMES_KEPT)
def iso(at: datetime) -> str:
    """A time as the API writes it: UTC, to the second, or to the millisecond if it has any."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    has_milliseconds = at.microsecond >= _MILLISECOND_US
    text = at.isoformat(timespec="milliseconds" if has_milliseconds else "seconds")
    return f"{text[: -len(_UTC)]}Z"


@lru_cache(_TIMES_KEPT)
def iso_milliseconds(at: datetime) -> str:
    """A time to the millisecond, always: `2026-03-10T12:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class GrantShare(Struct):
    """So much of one grant."""

    id: UUID
    amount: str


class ItemAmount(Struct):
    """What one item comes to."""

    code: str
    amount: str


class DebitBody(Struct):
    """What was charged: ``amount`` was paid by the grants listed, ``overage`` could not be paid."""

    asset_code: str
    amount: str
    overage: str
    grants: list[GrantShare]


class PassedBudget(Struct):
    """A budget that something would pass: where it stands, and what is needed beside that.

    ``bucket`` says whose it is where each has one of its own. ``resets_at`` is when the same could
    pass, if nothing else is spent until then; null: not by waiting.
    """

    id: UUID
    code: str
    name: str
    bucket: str
    mode: str
    asset_code: str
    limit: str
    spent: str
    held: str
    needed: str
    resets_at: str | None


class AuthorizationBody(Struct):
    """An authorization and where it stands. ``grants`` are what the hold sets aside now."""

    id: UUID
    transaction_id: str
    external_customer_id: str
    status: str
    amount: str
    captured_amount: str
    refunded_amount: str
    asset_code: str
    available: str | None
    expires_at: str
    created_at: str
    items: list[ItemAmount]
    grants: list[GrantShare]
    debits: list[DebitBody] | UnsetType = UNSET
    budget_warnings: list[PassedBudget] | UnsetType = UNSET


class AuthorizationReply(Struct):
    """The envelope of an authorization."""

    authorization: AuthorizationBody


class EventBody(Struct):
    """A usage event in Lago's shape, and what it was charged."""

    lago_id: UUID
    transaction_id: str
    lago_customer_id: UUID | None
    lago_subscription_id: UUID | None
    external_subscription_id: str
    code: str
    timestamp: str
    precise_total_amount_cents: str | None
    properties: dict[str, Any]
    created_at: str
    rating_status: str
    unrated_reason: str | None
    debits: list[DebitBody]


class EventReply(Struct):
    """The envelope of an event."""

    event: EventBody


_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(reply: Struct | dict[str, Any]) -> bytes:
    """The reply's bytes, as they are stored and sent."""
    return _encoder.encode(reply)


class WalletTransactionBody(Struct):
    """A movement of a wallet's credits, in Lago's shape."""

    lago_id: UUID
    lago_wallet_id: UUID
    status: str
    source: str
    transaction_status: str
    transaction_type: str
    amount: str
    credit_amount: str
    priority: int
    kind: str
    grant_id: UUID | None
    asset_code: str
    cost_basis: str | None
    expires_at: str | None
    settled_at: str | None
    failed_at: str | None
    created_at: str
    name: str | None
    metadata: list[dict[str, str]]
    invoice_requires_successful_payment: bool
    lago_invoice_id: UUID | None = None
    lago_credit_note_id: UUID | None = None
    remaining_amount_cents: int | None = None
    remaining_credit_amount: str | None = None


def decimal_text(number: Decimal) -> str:
    """A decimal as Lago writes it: plain, exact, with a digit after the point at least ("10.0")."""
    text = f"{number:f}"
    if "." not in text:
        return f"{text}.0"
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def wallet_transaction_body(
    row: "TransactionTerms", asset: "Asset", *, at: datetime
) -> WalletTransactionBody:
    """A wallet transaction as it was made at ``at``."""
    return WalletTransactionBody(
        lago_id=row.id,
        lago_wallet_id=row.wallet_id,
        status=row.status,
        source="manual",
        transaction_status=row.transaction_status,
        transaction_type=row.transaction_type,
        amount=decimal_text(money.to_decimal(row.amount_minor, asset.scale)),
        credit_amount=decimal_text(row.credit_amount),
        priority=row.priority,
        kind=row.kind,
        grant_id=row.grant_id,
        asset_code=asset.code,
        cost_basis=None if row.cost_basis is None else decimal_text(row.cost_basis),
        expires_at=None if row.expires_at is None else iso(row.expires_at),
        settled_at=iso(at) if row.status == "settled" else None,
        failed_at=iso(at) if row.status == "failed" else None,
        created_at=iso(at),
        name=row.name,
        metadata=row.metadata,
        invoice_requires_successful_payment=row.invoice_requires_successful_payment,
    )
