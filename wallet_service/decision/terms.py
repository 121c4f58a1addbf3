"""What commands speak of: assets, prices under an agreement, and items."""

from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from invoicing import periods
from ledger import money
from rating.rate_cards import Line

from .budget_state import BudgetKey

__all__ = ["AMOUNT_CODE", "Asset", "Choice", "Cycle", "Item", "PricedLine", "Pricing"]

AMOUNT_CODE = "amount"
"""The built-in metric of operations that name an amount and no items."""


class Asset(Struct, frozen=True):
    """What a balance is counted in, and the ledger that counts it."""

    code: str
    scale: int
    ledger: int
    is_unit: bool = False
    """A native unit (tokens, hours), not money."""

    def format(self, amount_minor: int) -> str:
        """An amount as the API writes it: the shortest decimal string, in the asset's unit."""
        return money.format_minor(amount_minor, self.scale)


class Cycle(Struct, frozen=True):
    """How a subscription's periods are cut; running totals belong to one period."""

    interval: str
    billing_time: str
    anchor: datetime
    timezone: str = "UTC"
    """Where the customer lives: its days are cut at midnight there."""

    @property
    def zone(self) -> tzinfo:
        """The customer's clock."""
        return periods.zone_named(self.timezone)

    def period_at(self, at: datetime) -> periods.Bounds:
        """The period that a time falls in."""
        return periods.period_at(
            at,
            interval=self.interval,
            billing_time=self.billing_time,
            anchor=self.anchor,
            zone=self.zone,
        )

    def period_start(self, at: datetime) -> datetime:
        """When that period began: what running totals are kept by."""
        return periods.period_start(
            at,
            interval=self.interval,
            billing_time=self.billing_time,
            anchor=self.anchor,
            zone=self.zone,
        )


class Pricing(Struct, frozen=True):
    """Under which agreement items are priced: a subscription and the version of its plan."""

    subscription_id: UUID
    external_subscription_id: str
    plan_version_id: UUID
    cycle: Cycle


class PricedLine(Struct, frozen=True):
    """One charge's part of an item.

    Linear charges know their price, as do those that cost nothing before the period's end; others
    need the running total.
    """

    line: Line
    exact: Decimal | None


class Item(Struct, frozen=True):
    """Usage of one billable metric, or an explicit amount.

    Of an amount, ``code`` is the built-in metric ``amount``.
    """

    code: str
    properties: dict[str, Any]
    lines: tuple[PricedLine, ...] = ()
    amount_minor: int | None = None
    budgets: tuple[BudgetKey, ...] = ()
    """The buckets that it is counted in."""

    @property
    def target(self) -> str | None:
        """The code of the one wallet that is to pay, where the usage has named it."""
        return self.lines[0].line.target_wallet_code if self.lines else None


class Choice(Struct, frozen=True):
    """The same items priced in another asset, for who cannot pay in the one before."""

    asset: Asset
    items: tuple[Item, ...]
