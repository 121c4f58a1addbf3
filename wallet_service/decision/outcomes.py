"""What a judged operation comes to.

The rows and transfers it writes and the reply it gives, or why it is refused.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from ledger.accounts import Account
from ledger.transfers import Transfer
from rating.totals import Total
from wallet_service.errors import WalletError

from .budget_state import AlertRow, BudgetMove, EventBudget
from .state import EventLine, HoldState, Paid, TotalKey

__all__ = [
    "Done",
    "Effect",
    "EventLine",
    "EventRow",
    "GrantChange",
    "GrantRow",
    "Outcome",
    "Refused",
    "Replayed",
    "TotalChange",
    "TransactionChange",
    "TransactionRow",
    "UnratedRow",
    "Waits",
    "WalletChange",
    "WalletRow",
]


class EventRow(Struct):
    """A usage event as it is stored."""

    id: UUID
    transaction_id: str
    code: str
    properties: dict[str, Any]
    external_subscription_id: str | None
    subscription_id: UUID | None
    timestamp: datetime
    rating_status: str
    plan_version_id: UUID | None = None
    asset_code: str | None = None
    lines: list[EventLine] = []
    paid: list[Paid] = []
    reverses_event_id: UUID | None = None
    external_customer_id: str | None = None
    precise_total_amount_cents: Decimal | None = None


class UnratedRow(Struct):
    """Why an event could not be rated; it is driven again when the cause is gone."""

    event_id: UUID
    timestamp: datetime
    reason: str
    detail: str | None


class WalletRow(Struct):
    """A new wallet."""

    id: UUID
    external_customer_id: str
    code: str
    name: str | None
    asset_code: str
    rate_amount: Decimal
    priority: int
    fee_types: tuple[str, ...]
    billable_metric_codes: tuple[str, ...]
    on_shortfall: str
    overdraft_limit_minor: int
    overdraft_grant_id: UUID | None
    paid_top_up_min_minor: int | None
    paid_top_up_max_minor: int | None
    invoice_requires_successful_payment: bool
    metadata: dict[str, str | None]
    expiration_at: datetime | None


class WalletChange(Struct):
    """Columns of a wallet that take new values."""

    id: UUID
    changes: dict[str, Any]


class GrantRow(Struct):
    """A new grant."""

    id: UUID
    wallet_id: UUID
    kind: str
    name: str | None
    priority: int
    amount_minor: int
    expires_at: datetime | None
    cost_basis: Decimal | None
    cost_basis_currency: str | None
    wallet_transaction_id: UUID | None
    deferred_minor: int = 0
    """What was paid for native units, to be earned as they are used."""


class GrantChange(Struct):
    """What is added to a grant's sums (amount, expired, voided, earned, broken).

    Also whether it stays open (None: as it is), and an earlier end.
    """

    id: UUID
    is_open: bool | None
    amount_minor: int = 0
    expired_minor: int = 0
    voided_minor: int = 0
    expires_at: datetime | None = None
    earned_minor: int = 0
    broken_minor: int = 0


class TransactionRow(Struct):
    """A new wallet transaction."""

    id: UUID
    wallet_id: UUID
    grant_id: UUID | None
    name: str | None
    status: str
    transaction_type: str
    transaction_status: str
    amount_minor: int
    credit_amount: Decimal
    priority: int
    kind: str
    cost_basis: Decimal | None = None
    cost_basis_currency: str | None = None
    expires_at: datetime | None = None
    voided_grants: dict[str, int] | None = None
    metadata: list[dict[str, str]] = []
    invoice_requires_successful_payment: bool = False


class TransactionChange(Struct):
    """A purchase that was settled or has failed."""

    id: UUID
    status: str
    grant_id: UUID | None


class TotalChange(Struct):
    """A running total that moved; ``before`` lets a refused intent be undone."""

    key: TotalKey
    before: Total
    after: Total


class Effect(Struct):
    """All that one operation writes.

    In the same commit as its transfers, or once the ledger has posted them.
    """

    operation_id: UUID
    customer_id: UUID | None
    authorization_id: UUID | None = None
    """The hold that it is about; of a reversal the event, of a change of wallets the customer.

    One open at a time.
    """
    accounts: list[Account] = []
    transfers: list[Transfer] = []
    holds: list[HoldState] = []
    events: list[EventRow] = []
    rated_events: list[EventRow] = []
    unrated: list[UnratedRow] = []
    wallets: list[WalletRow] = []
    wallet_changes: list[WalletChange] = []
    grants: list[GrantRow] = []
    grant_changes: list[GrantChange] = []
    transactions: list[TransactionRow] = []
    transaction_changes: list[TransactionChange] = []
    totals: list[TotalChange] = []
    budget_moves: list[BudgetMove] = []
    event_budgets: list[EventBudget] = []
    alerts: list[AlertRow] = []


class Done(Struct):
    """Accepted: what it writes, and the reply that its key will give from now on."""

    effect: Effect
    reply: bytes
    attempt: int
    operation_id: UUID


class Replayed(Struct):
    """The key was used before with the same body: its first reply, nothing is written."""

    reply: bytes


class Refused(Struct):
    """Refused without any effect. ``is_recorded`` keeps a row: the key is bound to this body."""

    error: WalletError
    attempt: int = 0
    operation_id: UUID | None = None
    is_recorded: bool = False


class Waits(Struct):
    """Another operation must come to its end first: one under the same key, or on the same hold."""

    reason: str


Outcome = Done | Replayed | Refused | Waits
