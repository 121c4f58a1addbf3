"""What the service answers. Amounts are exact decimals in the asset's unit; times are in UTC.

Fields that a newer service adds are ignored.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

__all__ = [
    "Authorization",
    "AuthorizationPage",
    "Balance",
    "Customer",
    "CustomerWallet",
    "Debit",
    "DebitedEvent",
    "Estimate",
    "GrantBalance",
    "GrantShare",
    "ItemAmount",
    "PageMeta",
    "PassedBudget",
    "WalletTransaction",
]


class GrantShare(Struct, frozen=True):
    """So much of one grant."""

    id: str
    amount: Decimal


class ItemAmount(Struct, frozen=True):
    """What one item comes to."""

    code: str
    amount: Decimal


class Debit(Struct, frozen=True):
    """What was charged: ``amount`` was paid by the grants listed, ``overage`` nobody could pay."""

    asset_code: str
    amount: Decimal
    overage: Decimal
    grants: tuple[GrantShare, ...] = ()


class PassedBudget(Struct, frozen=True):
    """A budget that a call passes: a hard one refuses it, a soft one only tells.

    ``bucket`` says whose it is where each user, customer … has one. ``resets_at`` is when the same
    could pass, if nothing else is spent until then; None: not by waiting.
    """

    id: str
    code: str
    name: str
    mode: str
    asset_code: str
    limit: Decimal
    spent: Decimal
    held: Decimal
    needed: Decimal
    bucket: str = ""
    resets_at: datetime | None = None


class Authorization(Struct, frozen=True):
    """A hold and where it stands: ``status`` is held, captured, voided or expired.

    ``available`` is what the wallets that may pay for these items have left beside the hold.
    ``debits`` are what this call charged, ``budget_warnings`` the soft budgets that it passes.
    """

    id: str
    transaction_id: str
    status: str
    amount: Decimal
    captured_amount: Decimal
    asset_code: str
    expires_at: datetime
    external_customer_id: str = ""
    refunded_amount: Decimal = Decimal(0)
    available: Decimal | None = None
    created_at: datetime | None = None
    items: tuple[ItemAmount, ...] = ()
    grants: tuple[GrantShare, ...] = ()
    debits: tuple[Debit, ...] = ()
    budget_warnings: tuple[PassedBudget, ...] = ()


class Estimate(Struct, frozen=True):
    """What a call would cost, and whether it would be approved now. Nothing is set aside.

    Where it would be refused, ``code`` says why, like that of PaymentRequired.
    """

    amount: Decimal
    asset_code: str
    available: Decimal
    sufficient: bool
    items: tuple[ItemAmount, ...] = ()
    code: str | None = None
    budget_warnings: tuple[PassedBudget, ...] = ()


class GrantBalance(Struct, frozen=True):
    """What one grant has left. ``kind`` is paid, promotional or overdraft."""

    id: str
    available: Decimal
    held: Decimal
    wallet_id: str | None = None
    kind: str | None = None
    expires_at: datetime | None = None


class Balance(Struct, frozen=True):
    """What a customer has in one asset: free to spend, set aside by holds, and still owed."""

    asset_code: str
    available: Decimal
    held: Decimal
    overage: Decimal = Decimal(0)
    grants: tuple[GrantBalance, ...] = ()


class DebitedEvent(Struct, frozen=True):
    """A usage event, and what it was charged.

    ``rating_status`` is ``rated``, ``unrated`` (stored, charged when the cause is gone),
    ``postpaid`` (no wallet may pay for it: it goes to the invoice), or, in a batch, ``rejected``:
    its wallet refuses what it cannot pay, so it was not stored, and ``error_code`` says why.
    """

    transaction_id: str
    code: str
    rating_status: str = "rejected"
    timestamp: datetime | None = None
    lago_id: str | None = None
    external_subscription_id: str | None = None
    properties: dict[str, Any] = {}
    unrated_reason: str | None = None
    debits: tuple[Debit, ...] = ()
    error_code: str | None = None
    error_details: dict[str, Any] = {}


class Customer(Struct, frozen=True):
    """Who is billed."""

    lago_id: str
    external_id: str
    name: str | None = None
    currency: str | None = None


class Subscription(Struct, frozen=True):
    """Which plan prices a customer's usage."""

    lago_id: str
    external_id: str
    external_customer_id: str
    plan_code: str
    status: str


class CustomerWallet(Struct, frozen=True):
    """A customer's prepaid balance in one asset: ``balance`` is ``available`` and ``held``."""

    lago_id: str
    external_customer_id: str
    status: str
    asset_code: str
    rate_amount: Decimal
    credits_balance: Decimal
    balance: Decimal
    held: Decimal
    available: Decimal
    code: str | None = None
    name: str | None = None
    priority: int | None = None
    on_shortfall: str | None = None
    expiration_at: datetime | None = None


class WalletTransaction(Struct, frozen=True):
    """A movement of credits: ``purchased`` ones are ``pending`` until their payment is settled."""

    lago_id: str
    lago_wallet_id: str
    status: str
    transaction_status: str
    transaction_type: str
    amount: Decimal
    credit_amount: Decimal
    created_at: datetime
    settled_at: datetime | None = None
    expires_at: datetime | None = None
    name: str | None = None


class PageMeta(Struct, frozen=True):
    """Where a page lies in its list."""

    next_page: int | None = None


class AuthorizationPage(Struct, frozen=True):
    """One page of authorizations."""

    authorizations: tuple[Authorization, ...]
    meta: PageMeta
