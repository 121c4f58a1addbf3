"""What callers may ask of a customer's money: one struct a command.

Already decoded, validated and rated as far as that is possible without a lock. Amounts are integers
in the asset's smallest unit (``*_minor``).
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from invoicing.access import Access
from invoicing.settlements import CreditNoteRequest, PayRequest, SettleRequest, VoidRequest

from .budget_state import BudgetKey
from .state import CustomerKey
from .terms import AMOUNT_CODE, Asset, Choice, Cycle, Item, PricedLine, Pricing

__all__ = [
    "AMOUNT_CODE",
    "Asset",
    "Authorize",
    "BookCreditNote",
    "Capture",
    "Choice",
    "CloseGrant",
    "Command",
    "CreateWallet",
    "Cycle",
    "Debit",
    "Expire",
    "ExpireGrant",
    "Extend",
    "Fail",
    "Funding",
    "Item",
    "MoveCredits",
    "Operation",
    "PayInvoice",
    "Payer",
    "PricedLine",
    "Pricing",
    "RecogniseRevenue",
    "Refund",
    "RefundCreditNote",
    "Reverse",
    "Settle",
    "SettleInvoice",
    "UpdateWallet",
    "Void",
    "VoidCreditNote",
    "VoidInvoice",
]


class Authorize(Struct, frozen=True, tag="authorize"):
    """Set funds aside for usage that is about to happen."""

    external_customer_id: str
    transaction_id: str
    asset: Asset
    items: tuple[Item, ...]
    expires_in_s: int
    pricing: Pricing | None = None
    partial: bool = False
    others: tuple[Choice, ...] = ()
    api_key_id: UUID | None = None
    features: tuple[str, ...] = ()
    """Features that the caller asks for by name, whatever the items are behind."""
    access: Access | None = None
    """What the subscription may use; None where the organization has no features."""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The items in each asset that may pay for them, in order of preference."""
        return (Choice(self.asset, self.items), *self.others)


class Capture(Struct, frozen=True, tag="capture"):
    """Settle a hold with what was really used. ``items`` None captures the whole hold."""

    authorization_id: UUID
    transaction_id: str | None
    asset: Asset
    items: tuple[Item, ...] | None
    final: bool
    pricing: Pricing | None = None
    budgets: tuple[BudgetKey, ...] = ()
    """Where the whole of a hold is counted; items say so themselves."""


class Extend(Struct, frozen=True, tag="extend"):
    """Hold more, hold longer, or both."""

    authorization_id: UUID
    asset: Asset
    items: tuple[Item, ...]
    expires_in_s: int | None
    pricing: Pricing | None = None
    access: Access | None = None


class Void(Struct, frozen=True, tag="void"):
    """End a hold and give everything back."""

    authorization_id: UUID
    asset: Asset


class Expire(Struct, frozen=True, tag="expire"):
    """End a hold whose time is over; does nothing to one that was extended or ended meanwhile."""

    authorization_id: UUID
    asset: Asset


class Refund(Struct, frozen=True, tag="refund"):
    """Give captured money back to the grants that paid. ``amount_minor`` None gives all back."""

    authorization_id: UUID
    asset: Asset
    transaction_id: str
    amount_minor: int | None
    pricing: Pricing | None = None


class Debit(Struct, frozen=True, tag="debit"):
    """Store one usage event and charge it at once.

    ``asset`` None means that nothing prices it: ``unrated_reason`` says why, or the customer is
    postpaid.
    """

    event_id: UUID
    transaction_id: str
    code: str
    properties: dict[str, Any]
    external_subscription_id: str | None
    external_customer_id: str | None
    timestamp: datetime | None
    item: Item | None
    asset: Asset | None
    pricing: Pricing | None = None
    unrated_reason: str | None = None
    unrated_detail: str | None = None
    redrives: bool = False
    others: tuple[Choice, ...] = ()
    precise_total_amount_cents: Decimal | None = None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The item in each asset that may pay for it, in order of preference."""
        if self.item is None or self.asset is None:
            return ()
        return (Choice(self.asset, (self.item,)), *self.others)


class Reverse(Struct, frozen=True, tag="reverse"):
    """Take back the charge of one event, all or a part, by transfers that name the originals."""

    event_id: UUID
    transaction_id: str
    asset: Asset
    amount_minor: int | None


class Funding(Struct, frozen=True):
    """One funding of a wallet, as its grant will stand."""

    kind: str
    amount_minor: int
    credit_amount: Decimal
    priority: int
    name: str | None = None
    expires_at: datetime | None = None
    cost_basis: Decimal | None = None
    cost_basis_currency: str | None = None
    settled: bool = True
    metadata: list[dict[str, str]] = []
    invoice_requires_successful_payment: bool = False


class MoveCredits(Struct, frozen=True, tag="move_credits"):
    """Fund a wallet (paid and granted), void credits of it, or both.

    Purchased ones wait for their payment.
    """

    wallet_id: UUID
    asset: Asset
    fundings: tuple[Funding, ...]
    voided_minor: int = 0
    voided_credits: Decimal = Decimal(0)
    voided_transaction_id: UUID | None = None
    name: str | None = None
    metadata: list[dict[str, str]] = []
    provider: str = "manual"
    money: Asset | None = None
    """What native units are sold for, where they have a cost basis."""


class CreateWallet(Struct, frozen=True, tag="create_wallet"):
    """Open a wallet, with its first credits there before the answer."""

    wallet_id: UUID
    external_customer_id: str
    asset: Asset
    code: str
    name: str | None
    rate_amount: Decimal
    priority: int
    fee_types: tuple[str, ...]
    billable_metric_codes: tuple[str, ...]
    on_shortfall: str
    overdraft_limit_minor: int
    expiration_at: datetime | None
    metadata: dict[str, str | None]
    fundings: tuple[Funding, ...]
    paid_top_up_min_minor: int | None = None
    paid_top_up_max_minor: int | None = None
    invoice_requires_successful_payment: bool = False
    is_code_derived: bool = False
    """Nobody chose the code: where it is taken, it gets a number."""


class UpdateWallet(Struct, frozen=True, tag="update_wallet", kw_only=True):
    """Change a wallet's terms, freeze it, or end it.

    ``changes`` are columns and their new values.
    """

    wallet_id: UUID
    asset: Asset
    changes: dict[str, Any]


class Settle(Struct, frozen=True, tag="settle"):
    """The payment of purchased credits arrived: the grant comes into being."""

    wallet_transaction_id: UUID
    asset: Asset
    provider: str
    money: Asset | None = None
    """What native units are sold for, where they have a cost basis."""


class Fail(Struct, frozen=True, tag="fail"):
    """The payment of purchased credits failed for good."""

    wallet_transaction_id: UUID
    asset: Asset


class ExpireGrant(Struct, frozen=True, tag="expire_grant"):
    """Take what is free of a grant whose time is over; what is held follows when the hold ends."""

    grant_id: UUID
    asset: Asset


class CloseGrant(Struct, frozen=True, tag="close_grant"):
    """Put an exhausted grant away, so that nothing scales with the grants ever stored."""

    grant_id: UUID
    asset: Asset


class SettleInvoice(Struct, frozen=True, tag="settle_invoice", kw_only=True):
    """Book an invoice whose amounts are fixed, and let wallets pay what is left of it."""

    asset: Asset
    cent_minor: int
    """The currency's minor unit, in the asset's smallest."""
    request: SettleRequest
    promotional: tuple[UUID, ...] = ()
    """Which of the grants that paid in real time were promotional."""


class PayInvoice(Struct, frozen=True, tag="pay_invoice", kw_only=True):
    """Book a payment of an invoice."""

    asset: Asset
    cent_minor: int
    request: PayRequest
    provider: str


class Payer(Struct, frozen=True, kw_only=True):
    """A grant that had paid an invoice, open or not."""

    id: UUID
    wallet_id: UUID
    kind: str
    priority: int
    expires_at: datetime | None


class VoidInvoice(Struct, frozen=True, tag="void_invoice", kw_only=True):
    """Take back all that an invoice's settlement booked."""

    asset: Asset
    cent_minor: int
    request: VoidRequest
    payers: tuple[Payer, ...]


class BookCreditNote(Struct, frozen=True, tag="book_credit_note", kw_only=True):
    """Book what a credit note credits and offsets."""

    asset: Asset
    cent_minor: int
    request: CreditNoteRequest


class RefundCreditNote(Struct, frozen=True, tag="refund_credit_note", kw_only=True):
    """Book that a credit note was paid out."""

    asset: Asset
    cent_minor: int
    request: CreditNoteRequest
    provider: str


class VoidCreditNote(Struct, frozen=True, tag="void_credit_note", kw_only=True):
    """Take back what is left of a credit note's credit."""

    asset: Asset
    cent_minor: int
    request: CreditNoteRequest
    balance_cents: int


class RecogniseRevenue(Struct, frozen=True, tag="recognise_revenue", kw_only=True):
    """Earn what was paid for native units that were used since, or have expired.

    Amounts below zero are taken back, because usage was. Does nothing if others were first.
    """

    asset: Asset
    money: Asset
    grant_id: UUID
    earned_before_minor: int
    broken_before_minor: int
    earned_minor: int
    broken_minor: int


Command = (
    Authorize
    | Capture
    | Extend
    | Void
    | Expire
    | Refund
    | Debit
    | Reverse
    | MoveCredits
    | CreateWallet
    | UpdateWallet
    | Settle
    | Fail
    | ExpireGrant
    | CloseGrant
    | SettleInvoice
    | PayInvoice
    | VoidInvoice
    | BookCreditNote
    | RefundCreditNote
    | VoidCreditNote
    | RecogniseRevenue
)


class Operation(Struct, frozen=True):
    """One command under its idempotency key.

    ``kind`` and ``key`` are unique in an organization. ``customer_id`` None is usage nobody could
    be found for.
    """

    organization_id: UUID
    kind: str
    key: str
    id: UUID
    customer_id: UUID | None
    body_hash: bytes
    command: Command

    @property
    def customer(self) -> CustomerKey | None:
        """Whose money it moves."""
        return None if self.customer_id is None else (self.organization_id, self.customer_id)
