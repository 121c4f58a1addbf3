"""What items cost, in the asset's smallest unit, and how that moves the running totals."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from invoicing import periods
from ledger import money
from ledger.errors import InvalidAmount
from ledger.money import Rounding
from rating import quotes
from rating.usage import ZERO_TOTAL, Total, take_out
from wallet_service.errors import Invalid

from .commands import Asset, Item, PricedLine, Pricing
from .outcomes import EventLine, TotalChange
from .state import NIL, TotalKey

__all__ = ["OutOfRange", "item_amount_minor", "price_item", "total_key"]


class OutOfRange(Invalid):
    """More than any store of ours can count; names the limit, and what it comes from."""

    def __init__(self, asset: Asset, field: str = "amount") -> None:
        limit = asset.format(money.MAX_MINOR)
        super().__init__(field, "value_is_out_of_range", f"at most {limit} {asset.code}")


def total_key(line: PricedLine, pricing: Pricing, *, at: datetime) -> TotalKey:
    """Which running total a line is priced from: that of the period its time falls in."""
    cycle = pricing.cycle
    return TotalKey(
        pricing.subscription_id,
        line.line.charge_id,
        line.line.filter_id or NIL,
        periods.period_start(
            at, interval=cycle.interval, billing_time=cycle.billing_time, anchor=cycle.anchor
        ),
    )


def item_amount_minor(
    item: Item,
    asset: Asset,
    pricing: Pricing | None,
    totals: dict[TotalKey, Total],
    *,
    at: datetime,
) -> int:
    """What to hold for an item: an upper bound of its price, rounded up.

    Moves no total. Raises OutOfRange.
    """
    if item.amount_minor is not None:
        return item.amount_minor
    amount_minor = 0
    for priced in item.lines:
        exact = priced.exact
        if exact is None:
            assert pricing is not None
            total = totals.get(total_key(priced, pricing, at=at), ZERO_TOTAL)
            exact = quotes.upper_bound(priced.line, total)
        amount_minor += _to_minor(exact, asset, Rounding.UP)
    return amount_minor


def _to_minor(exact: Decimal, asset: Asset, rounding: Rounding) -> int:
    try:
        return money.to_minor(exact, asset.scale, rounding)
    except InvalidAmount as error:
        raise OutOfRange(asset, "properties") from error


def price_item(
    item: Item,
    asset: Asset,
    pricing: Pricing | None,
    totals: dict[TotalKey, Total],
    *,
    at: datetime,
) -> tuple[int, list[EventLine], list[TotalChange]]:
    """What an item that was really used costs.

    Each line is rounded half away from zero, the exact price kept beside it. Moves the running
    totals of lines that are priced from one. Source: price(total + this) - price(total). Raises
    OutOfRange, and has moved nothing then.
    """
    if item.amount_minor is not None:
        line = EventLine(
            None,
            None,
            Decimal(1),
            money.to_decimal(item.amount_minor, asset.scale),
            item.amount_minor,
        )
        return item.amount_minor, [line], []
    amount_minor = 0
    lines: list[EventLine] = []
    changes: list[TotalChange] = []
    moved: dict[TotalKey, Total] = {}
    for priced in item.lines:
        line, exact, before = priced.line, priced.exact, None
        if exact is None:
            assert pricing is not None
            key = total_key(priced, pricing, at=at)
            before = moved.get(key, totals.get(key, ZERO_TOTAL))
            exact, after = quotes.marginal(line, before)
            moved[key] = after
            changes.append(TotalChange(key, before, after))
        # A correction lowers the total; what was charged too much comes back with the true-up.
        rounded = max(0, _to_minor(exact, asset, Rounding.HALF_AWAY))
        amount_minor += rounded
        lines.append(EventLine(line.charge_id, line.filter_id, line.units, exact, rounded, before))
    totals.update(moved)
    return amount_minor, lines, changes


def undo(changes: Sequence[TotalChange], totals: dict[TotalKey, Total]) -> None:
    """Take a refused intent's movement out of the totals again, whatever others added meanwhile."""
    for change in changes:
        now = totals.get(change.key, ZERO_TOTAL)
        totals[change.key] = take_out(now, before=change.before, after=change.after)
