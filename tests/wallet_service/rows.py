"""Rows as the committer would keep and read them, in dictionaries."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from rating.totals import Total
from wallet_service.decision import CustomerState, Effect
from wallet_service.decision.budget_state import (
    AlertRow,
    BucketState,
    BudgetKey,
    BudgetMove,
    BudgetTerms,
    EventBudget,
)
from wallet_service.decision.outcomes import EventRow, GrantRow, TransactionRow, WalletRow
from wallet_service.decision.state import (
    DeferredState,
    EventState,
    GrantState,
    HoldState,
    KnownOperation,
    TotalKey,
    TransactionState,
    WalletState,
)

ORGANIZATION = UUID("00000000-0000-7000-8000-00000000000a")
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class Rows:
    """What the tables would hold, as far as judging needs it."""

    def __init__(self) -> None:
        self.wallets: dict[UUID, tuple[UUID, WalletRow, dict[str, Any]]] = {}
        self.grants: dict[UUID, tuple[GrantRow, dict[str, Any]]] = {}
        self.deferred: dict[UUID, tuple[UUID, DeferredState]] = {}
        self.holds: dict[UUID, HoldState] = {}
        self.events: dict[UUID, tuple[UUID | None, EventRow]] = {}
        self.transactions: dict[UUID, tuple[UUID, TransactionRow]] = {}
        self.totals: dict[TotalKey, Total] = {}
        self.keys: dict[tuple[UUID, str, str], KnownOperation] = {}
        self.budgets: dict[UUID, BudgetTerms] = {}
        self.buckets: dict[BudgetKey, BucketState] = {}
        self.event_budgets: list[EventBudget] = []
        self.alerts: list[AlertRow] = []

    def write(self, effect: Effect) -> None:
        effect = deepcopy(effect)
        for hold in effect.holds:
            self.holds[hold.id] = hold
        for row in effect.events + effect.rated_events:
            self.events[row.id] = effect.customer_id, row
        for change in effect.totals:
            self.totals[change.key] = change.after
        for move in effect.budget_moves:
            self._move(move)
        self.event_budgets += effect.event_budgets
        self.alerts += effect.alerts
        if effect.customer_id is not None:
            self._write_credits(effect, effect.customer_id)

    def _write_credits(self, effect: Effect, customer: UUID) -> None:
        for row in effect.wallets:
            self.wallets[row.id] = customer, row, {}
        for change in effect.wallet_changes:
            self.wallets[change.id][2].update(change.changes)
        for row in effect.grants:
            sums = {"amount_minor": row.amount_minor, "expired_minor": 0, "voided_minor": 0}
            self.grants[row.id] = row, {"is_open": True, **sums}
            self.deferred[row.id] = customer, DeferredState(0, 0)
        for change in effect.grant_changes:
            stands = self.grants[change.id][1]
            if change.is_open is not None:
                stands["is_open"] = change.is_open
            self.deferred[change.id][1].earned_minor += change.earned_minor
            self.deferred[change.id][1].broken_minor += change.broken_minor
            for name in ("amount_minor", "expired_minor", "voided_minor"):
                stands[name] += getattr(change, name)
        for row in effect.transactions:
            self.transactions[row.id] = customer, row
        for change in effect.transaction_changes:
            row = self.transactions[change.id][1]
            row.status, row.grant_id = change.status, change.grant_id or row.grant_id

    def _move(self, move: BudgetMove) -> None:
        bucket = self.bucket(move.key)
        assert bucket is not None, "what is gone is not moved"
        bucket.held += move.held_minor
        if move.starts_at is not None:
            bucket.spent[move.starts_at] = bucket.spent.get(move.starts_at, 0) + move.spent_minor

    def bucket(self, key: BudgetKey) -> BucketState | None:
        """A bucket as it stands; None of a budget that is gone."""
        terms = self.budgets.get(key.budget_id)
        if terms is None:
            return None
        bucket = self.buckets.setdefault(key, BucketState(terms, key.bucket))
        bucket.terms = terms
        return bucket

    def customer(self, customer: UUID) -> CustomerState:
        """A customer as the committer would read it; balances are the ledger's to tell."""
        state = CustomerState(ORGANIZATION, customer, 1)
        for owner, row, changes in self.wallets.values():
            if owner == customer:
                wallet = self._wallet(row, changes)
                has_open = any(
                    g.wallet_id == row.id and s["is_open"] for g, s in self.grants.values()
                )
                if wallet.status == "active" or has_open:
                    state.wallets[wallet.id] = wallet
        for row, stands in self.grants.values():
            wallet = state.wallets.get(row.wallet_id)
            if wallet is not None and stands["is_open"]:
                sums = {name: value for name, value in stands.items() if name != "is_open"}
                state.grants.append(
                    GrantState(
                        id=row.id,
                        wallet=wallet,
                        kind=row.kind,
                        priority=row.priority,
                        expires_at=row.expires_at,
                        **sums,
                    )
                )
        state.holds = {
            hold.id: deepcopy(hold) for hold in self.holds.values() if hold.customer_id == customer
        }
        state.events = {
            row.id: self._event(row) for owner, row in self.events.values() if owner == customer
        }
        state.transactions = {
            row.id: self._transaction(row)
            for owner, row in self.transactions.values()
            if owner == customer
        }
        state.totals = dict(self.totals)
        state.deferred = {
            grant_id: deepcopy(stands)
            for grant_id, (owner, stands) in self.deferred.items()
            if owner == customer
        }
        state.sort()
        return state

    @staticmethod
    def _wallet(row: WalletRow, changes: dict[str, Any]) -> WalletState:
        terms = msgspec.structs.asdict(row) | {"status": "active", "frozen": False} | changes
        terms["billable_metric_codes"] = frozenset(terms["billable_metric_codes"])
        fields = WalletState.__struct_fields__
        return WalletState(**{name: terms[name] for name in fields})

    def _event(self, row: EventRow) -> EventState:
        paid = deepcopy(row.paid)
        left = -sum(
            line.amount_minor
            for _, other in self.events.values()
            if other.reverses_event_id == row.id
            for line in other.lines
        )
        for entry in reversed(paid):
            entry.refunded_minor = min(left, entry.amount_minor)
            left -= entry.refunded_minor
        names = set(EventState.__struct_fields__) & set(EventRow.__struct_fields__)
        fields = {name: getattr(row, name) for name in names}
        budgets = [deepcopy(one.part) for one in self.event_budgets if one.event_id == row.id]
        reversals = sum(1 for _, one in self.events.values() if one.reverses_event_id == row.id)
        return EventState(**fields | {"paid": paid, "budgets": budgets, "reversals": reversals})

    @staticmethod
    def _transaction(row: TransactionRow) -> TransactionState:
        shared = set(TransactionState.__struct_fields__) & set(TransactionRow.__struct_fields__)
        values = {name: getattr(row, name) for name in shared}
        return TransactionState(**values, voided_minor=0, created_at=NOON)
