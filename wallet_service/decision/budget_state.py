"""Budgets as a batch has locked and read them, and what is written of them.

A budget has a *bucket* for each value of what it is per (a customer, an end user …), or just one.
A bucket has what live holds may yet spend, whatever the window, and what was spent by window.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from .budget_windows import Window

__all__ = [
    "AlertRow",
    "BucketState",
    "BudgetKey",
    "BudgetMove",
    "BudgetPart",
    "BudgetTerms",
    "EventBudget",
    "Threshold",
]


class BudgetKey(Struct, frozen=True):
    """One bucket of a budget.

    ``is_wide``: more than one customer may move it, so it is locked by itself; the others are
    covered by the lock on their customer.
    """

    budget_id: UUID
    bucket: str = ""
    is_wide: bool = False


class Threshold(Struct, frozen=True):
    """An alert is raised once spending reaches this percentage of the limit.

    And again only after it was below ``rearm_below`` percent, or in another window.
    """

    percentage: int
    rearm_below: int


class BudgetTerms(Struct, frozen=True):
    """What a budget says at the time of the batch."""

    id: UUID
    code: str
    name: str
    asset_code: str
    limit_minor: int
    is_hard: bool
    window: Window
    thresholds: tuple[Threshold, ...] = ()


class BucketState(Struct):
    """A bucket under lock: what is held, and what was spent by where it starts."""

    terms: BudgetTerms
    bucket: str
    held: int = 0
    spent: dict[datetime, int] = {}
    raised: tuple[int, ...] = ()
    """Percentages whose alerts were raised and are not armed again."""
    raised_in: datetime | None = None
    """The calendar window in which they were, if the budget has one."""


class BudgetPart(Struct, array_like=True):
    """What an authorization, or an event, has in a bucket.

    Held without ``starts_at``; with it, spent there, for usage of the metric ``code``.
    """

    budget_id: UUID
    bucket: str
    is_wide: bool
    code: str
    starts_at: datetime | None
    amount_minor: int

    @property
    def key(self) -> BudgetKey:
        """The bucket."""
        return BudgetKey(self.budget_id, self.bucket, self.is_wide)


class BudgetMove(Struct):
    """What is added to a bucket, and to what was spent there; less than nothing takes away."""

    key: BudgetKey
    held_minor: int = 0
    starts_at: datetime | None = None
    spent_minor: int = 0


class EventBudget(Struct):
    """What an event spent in a bucket, or what a reversal of it gave back there (negative)."""

    event_id: UUID
    part: BudgetPart


class AlertRow(Struct):
    """Spending reached a threshold of a budget."""

    id: UUID
    key: BudgetKey
    percentage: int
    limit_minor: int
    spent_minor: Decimal
    """Of all customers together, so it may be more than 64 bits can count."""
    window_start: datetime | None
    at: datetime
