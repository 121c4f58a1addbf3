"""What the committer has locked and read for one batch.

The working copy on which operations are judged in order: everything here belongs to one batch and
is changed by it; nothing is shared. Balances are the ledger's.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from msgspec import Struct

from ledger import ids
from ledger.accounts import Balance
from rating.totals import Total

from .budget_state import BucketState, BudgetKey, BudgetPart

__all__ = [
    "NIL",
    "CustomerKey",
    "CustomerState",
    "DeferredState",
    "EventLine",
    "EventState",
    "GrantState",
    "HoldState",
    "KnownOperation",
    "Leg",
    "LockedState",
    "Paid",
    "TotalKey",
    "TransactionState",
    "WalletState",
    "overage_account",
]

CustomerKey = tuple[UUID, UUID]
"""(organization, customer)."""

NIL = UUID(int=0)


@lru_cache(maxsize=100_000)
def overage_account(organization_id: UUID, customer_id: UUID, asset_code: str) -> int:
    """The ledger account of what a customer used and could not pay, in one asset."""
    return ids.reference(organization_id, customer_id, asset_code, "overage")


class WalletState(Struct):
    """A wallet's terms: what it may pay for, in which order, and what a shortfall means."""

    id: UUID
    asset_code: str
    code: str
    name: str | None
    rate_amount: Decimal
    priority: int
    status: str
    fee_types: tuple[str, ...]
    billable_metric_codes: frozenset[str]
    on_shortfall: str
    frozen: bool
    overdraft_limit_minor: int
    overdraft_grant_id: UUID | None
    expiration_at: datetime | None

    def may_pay(self, code: str, *, now: datetime, target: str | None = None) -> bool:
        """Whether usage of this metric may be charged here (being frozen is another matter).

        ``target`` is the code of the one wallet that the usage itself has named, if it has.
        """
        return (
            self.status == "active"
            and (target is None or target == self.code)
            and (not self.fee_types or "charge" in self.fee_types)
            and (not self.billable_metric_codes or code in self.billable_metric_codes)
            and (self.expiration_at is None or self.expiration_at > now)
        )

    def may_pay_fee(self, fee_type: str, code: str | None, *, now: datetime) -> bool:
        """Whether a line of an invoice may be paid here; ``code`` is the metric of a charge.

        A wallet for some metrics pays other lines only where it names their type.
        """
        if fee_type == "charge" and code is not None:
            return self.may_pay(code, now=now)
        is_for_it = fee_type in self.fee_types if self.fee_types else not self.billable_metric_codes
        return (
            is_for_it
            and self.status == "active"
            and (self.expiration_at is None or self.expiration_at > now)
        )


class GrantState(Struct):
    """An open grant and what its ledger account holds now.

    ``available`` can be spent, ``held`` is in holds.
    """

    id: UUID
    wallet: WalletState
    kind: str
    priority: int
    expires_at: datetime | None
    amount_minor: int
    available: int = 0
    held: int = 0
    is_known: bool = False
    expired_minor: int = 0
    voided_minor: int = 0

    @property
    def account_id(self) -> int:
        """The grant's ledger account has the grant's own id."""
        return self.id.int

    def learn(self, balance: Balance) -> None:
        """Take the ledger's word for what is here."""
        self.available = balance.credits_posted - balance.debits_posted - balance.debits_pending
        self.held = balance.debits_pending
        self.is_known = True

    def is_spendable(self, now: datetime) -> bool:
        """Whether anything may be taken from here at this time."""
        return self.available > 0 and (self.expires_at is None or self.expires_at > now)

    def burn_key(self) -> tuple[Any, ...]:
        """Burn order, first things first.

        Wallet priority, grant priority, earliest expiry, promotional before paid, oldest first.
        Overdrafts come after everything else.
        """
        expires = self.expires_at.timestamp() if self.expires_at else float("inf")
        return (
            self.kind == "overdraft",
            self.wallet.priority,
            self.priority,
            expires,
            self.kind != "promotional",
            self.id.int,
        )


class Leg(Struct, array_like=True):
    """A pending transfer that is part of a hold: so much of one grant."""

    grant_id: UUID
    wallet_id: UUID
    transfer_id: UUID
    amount_minor: int


class Paid(Struct, array_like=True):
    """What one posted transfer took from a grant, and how much of it was given back.

    Nil grant: overage.
    """

    transfer_id: UUID
    grant_id: UUID
    amount_minor: int
    refunded_minor: int
    code: str
    is_overdraft: bool = False
    """A credit line paid: once it is closed, nothing can go back there."""


class CapturedItem(Struct, array_like=True):
    """What was charged for one item of an authorization, as its replies show it."""

    code: str
    amount_minor: int


class HoldState(Struct):
    """An authorization as it stands."""

    id: UUID
    customer_id: UUID
    external_customer_id: str
    transaction_id: str
    status: str
    asset_code: str
    amount_minor: int
    captured_minor: int
    overage_minor: int
    refunded_minor: int
    subscription_id: UUID | None
    plan_version_id: UUID | None
    items: list[CapturedItem]
    legs: list[Leg]
    paid: list[Paid]
    step: int
    expires_at: datetime
    created_at: datetime
    ended_at: datetime | None = None
    api_key_id: UUID | None = None
    """The key that asked for it: what is captured counts in that key's budgets."""
    budgets: list[BudgetPart] = []

    @property
    def held_minor(self) -> int:
        """What is set aside right now."""
        return sum(leg.amount_minor for leg in self.legs)


class KnownOperation(Struct):
    """What the idempotency table says of a key."""

    id: UUID
    customer_id: UUID | None
    authorization_id: UUID | None
    body_hash: bytes
    state: str
    attempt: int
    reply: bytes | None


class EventLine(Struct, omit_defaults=True):
    """How one charge priced an event.

    The exact price, what was charged, and the total it was priced from. `charge_id` is that of the
    alternative where one was chosen.
    """

    charge_id: UUID | None
    filter_id: UUID | None
    units: Decimal
    exact: Decimal
    amount_minor: int
    priced_from: Total | None = None
    group: str = ""
    """The values of the pricing group keys, as JSON."""
    member: str | None = None
    """Of a unique count: what is counted once."""
    removes: bool = False
    was_member: bool = False
    """Of a unique count: it was counted before this event."""
    precise_amount_cents: Decimal | None = None
    """The price that the event itself named (dynamic model)."""
    presentation: str = ""
    """The values of the presentation group keys, as JSON."""


class EventState(Struct):
    """A stored event that is to be reversed: who paid, and what was given back so far."""

    id: UUID
    transaction_id: str
    code: str
    properties: dict[str, Any]
    external_subscription_id: str | None
    subscription_id: UUID | None
    plan_version_id: UUID | None
    timestamp: datetime
    asset_code: str | None
    paid: list[Paid]
    rating_status: str
    external_customer_id: str | None = None
    lines: list[EventLine] = []
    reversals: int = 0
    """How often something of it was taken back already."""
    budgets: list[BudgetPart] = []


class TransactionState(Struct):
    """A purchase of credits that waits for its payment."""

    id: UUID
    wallet_id: UUID
    status: str
    kind: str
    amount_minor: int
    credit_amount: Decimal
    priority: int
    name: str | None
    expires_at: datetime | None
    cost_basis: Decimal | None
    cost_basis_currency: str | None
    metadata: list[dict[str, str]]
    grant_id: UUID | None
    voided_minor: int
    created_at: datetime
    invoice_requires_successful_payment: bool = False


class DeferredState(Struct):
    """What was paid for a grant of native units, as far as it was earned or has expired."""

    earned_minor: int
    broken_minor: int


class TotalKey(Struct, frozen=True):
    """Whose running total: one charge (filter, group) of one subscription in one period."""

    subscription_id: UUID
    charge_id: UUID
    filter_id: UUID
    period_start: datetime
    group_id: UUID = NIL
    """The hash of the group's values, or of a group and a member that is counted once in it."""


class CustomerState(Struct):
    """All that is one customer's, under its lock."""

    organization_id: UUID
    customer_id: UUID
    version: int
    wallets: dict[UUID, WalletState] = {}
    grants: list[GrantState] = []
    overage: dict[str, int] = {}
    holds: dict[UUID, HoldState] = {}
    open_holds: set[UUID] = set()
    """Holds that an open operation is about.

    Also an event that is being reversed, and the customer whose wallets change.
    """
    is_incomplete: bool = False
    """Something changed that is not in view here: show the balances from a fresh read."""
    events: dict[UUID, EventState] = {}
    transactions: dict[UUID, TransactionState] = {}
    totals: dict[TotalKey, Total] = {}
    deferred: dict[UUID, DeferredState] = {}
    """By grant, of those whose revenue is to be recognised."""

    def sort(self) -> None:
        """Put the grants into burn order."""
        self.grants.sort(key=GrantState.burn_key)

    def grant(self, grant_id: UUID) -> GrantState | None:
        """An open grant by id."""
        return next((grant for grant in self.grants if grant.id == grant_id), None)

    def grants_by_id(self) -> dict[UUID, GrantState]:
        """The open grants, to be found by id."""
        return {grant.id: grant for grant in self.grants}

    def payers(
        self, asset_code: str, code: str, *, now: datetime, target: str | None = None
    ) -> list[GrantState]:
        """Open grants that may pay for this metric in this asset, in burn order.

        Some may be empty or frozen.
        """
        return [
            grant
            for grant in self.grants
            if grant.wallet.asset_code == asset_code
            and grant.wallet.may_pay(code, now=now, target=target)
        ]

    def has_wallet_for(
        self, asset_code: str, code: str, *, now: datetime, target: str | None = None
    ) -> bool:
        """Whether the customer is prepaid for this metric."""
        for wallet in self.wallets.values():
            if wallet.asset_code == asset_code and wallet.may_pay(code, now=now, target=target):
                return True
        return False

    def available(self, asset_code: str, codes: Iterable[str], *, now: datetime) -> int:
        """What the wallets eligible for any of these metrics can still pay."""
        wanted = tuple(codes)
        available = 0
        for grant in self.grants:
            wallet = grant.wallet
            if wallet.asset_code != asset_code or wallet.frozen or not grant.is_spendable(now):
                continue
            for code in wanted:
                if wallet.may_pay(code, now=now):
                    available += grant.available
                    break
        return available


class LockedState(Struct):
    """Everything one batch may look at.

    It stands until the batch is written: it is locked, or the write finds that somebody moved it.
    """

    now: datetime
    customers: dict[CustomerKey, CustomerState] = {}
    keys: dict[tuple[UUID, str, str], KnownOperation] = {}
    budgets: dict[BudgetKey, BucketState] = {}
