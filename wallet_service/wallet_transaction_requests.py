"""What is asked of a wallet's credits, as it comes in, and the command that it comes to."""

import re
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from invoicing.currencies import CURRENCIES
from wallet_service.credit_amounts import Credits, read_funding, read_void
from wallet_service.decision import Asset
from wallet_service.decision.commands import Funding, MoveCredits
from wallet_service.errors import Invalid
from wallet_service.texts import read_decimal, read_time, read_uuid
from wallet_service.wallet_terms import (
    DecimalText,
    Name,
    Pairs,
    Word,
    check_limits,
    check_pairs,
    check_priority,
)
from wallet_service.wallets import WalletRow

__all__ = [
    "SettleRequest",
    "WalletTransactionRequest",
    "check_provider",
    "cost_basis_of",
    "movement_of",
]

_PROVIDER: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


class WalletTransactionRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credits to purchase, to grant or to void, in any combination."""

    wallet_id: Name | None = None
    transaction_id: str | None = None
    paid_credits: DecimalText | None = None
    granted_credits: DecimalText | None = None
    voided_credits: DecimalText | None = None
    voided_transaction_id: Name | None = None
    name: Name | None = None
    metadata: Pairs | None = None
    invoice_requires_successful_payment: bool | None = None
    ignore_paid_top_up_limits: bool | None = None
    priority: int | None = None
    expires_at: Word | None = None
    cost_basis: DecimalText | None = None
    cost_basis_currency: Word | None = None


class SettleRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a purchase was paid: the provider whose account in the book is debited."""

    provider: Annotated[str, Meta(max_length=32)] = "manual"


def check_provider(provider: str) -> str:
    """The name of a payment provider, as its account is called. Raises Invalid."""
    if not _PROVIDER.fullmatch(provider):
        raise Invalid("provider", "value_is_invalid", "small letters, digits and underscores")
    return provider


def cost_basis_of(text: str | None, currency: str | None) -> tuple[Decimal | None, str | None]:
    """What one unit of the asset cost, and in which currency. Raises Invalid."""
    if text is None:
        if currency is not None:
            raise Invalid("cost_basis", "value_is_mandatory")
        return None, None
    basis = read_decimal(text, field="cost_basis", code="invalid_amount")
    if currency not in CURRENCIES:
        code = "value_is_mandatory" if currency is None else "value_is_invalid"
        raise Invalid("cost_basis_currency", code)
    return basis, currency


def movement_of(request: WalletTransactionRequest, wallet: WalletRow, asset: Asset) -> MoveCredits:
    """The command that a request comes to. Raises Invalid."""
    rate = wallet.rate_amount
    metadata = check_pairs(request.metadata, field="metadata")
    expires_at = None
    if request.expires_at is not None:
        expires_at = read_time(request.expires_at, field="expires_at")
    basis, currency = cost_basis_of(request.cost_basis, request.cost_basis_currency)
    fundings: list[Funding] = []
    for field, text in (
        ("paid_credits", request.paid_credits),
        ("granted_credits", request.granted_credits),
    ):
        worth = None if text is None else read_funding(text, rate=rate, asset=asset, field=field)
        if worth is None:
            continue
        is_paid = field == "paid_credits"
        if is_paid and not request.ignore_paid_top_up_limits:
            check_limits(
                worth.amount_minor,
                minimum=wallet.paid_top_up_min_minor,
                maximum=wallet.paid_top_up_max_minor,
                asset=asset,
            )
        requires = request.invoice_requires_successful_payment
        fundings.append(
            Funding(
                kind="paid" if is_paid else "promotional",
                amount_minor=worth.amount_minor,
                credit_amount=worth.credits,
                priority=check_priority(request.priority),
                name=request.name,
                expires_at=expires_at,
                cost_basis=basis,
                cost_basis_currency=currency,
                settled=not is_paid,
                metadata=metadata,
                invoice_requires_successful_payment=is_paid
                and (wallet.invoice_requires_successful_payment if requires is None else requires),
            )
        )
    voided, source = _void(request, wallet, asset)
    return MoveCredits(
        wallet_id=wallet.id,
        asset=asset,
        fundings=tuple(fundings),
        voided_minor=voided.amount_minor if voided else 0,
        voided_credits=voided.credits if voided else Decimal(0),
        voided_transaction_id=source,
        name=request.name,
        metadata=metadata,
    )


def _void(
    request: WalletTransactionRequest, wallet: WalletRow, asset: Asset
) -> tuple[Credits | None, UUID | None]:
    source = None
    if request.voided_transaction_id is not None:
        try:
            source = read_uuid(request.voided_transaction_id)
        except ValueError:
            raise Invalid("voided_transaction_id", "wallet_transaction_not_found") from None
    if request.voided_credits is None:
        if source is not None:
            raise Invalid("voided_credits", "value_is_mandatory")
        return None, None
    voided = read_void(
        request.voided_credits, rate=wallet.rate_amount, asset=asset, field="voided_credits"
    )
    return voided, source
