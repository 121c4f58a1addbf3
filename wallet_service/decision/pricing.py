"""What items cost, in the asset's smallest unit, and how that moves the running totals."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from msgspec import Struct

from ledger import money
from ledger.errors import InvalidAmount
from ledger.ids import hash128, uuid_of
from ledger.money import Rounding
from rating import quotes
from rating.exact import ONE, ZERO
from rating.period import Period
from rating.rate_cards import Line
from rating.totals import ZERO_TOTAL, Total, take_out
from wallet_service.errors import Invalid

from .commands import Asset, Cycle, Item, Pricing
from .outcomes import EventLine, TotalChange
from .state import NIL, TotalKey

__all__ = [
    "OutOfRange",
    "WantedTotal",
    "amounts_to_hold",
    "group_id",
    "price_item",
    "share_left",
    "total_key",
    "undo",
    "wanted_totals",
]


class OutOfRange(Invalid):
    """More than any store of ours can count; names the limit, and what it comes from."""

    def __init__(self, asset: Asset, field: str = "amount") -> None:
        limit = asset.format(money.MAX_MINOR)
        super().__init__(field, "value_is_out_of_range", f"at most {limit} {asset.code}")


def total_key(line: Line, pricing: Pricing, *, at: datetime, member: str | None = None) -> TotalKey:
    """Which running total a line is priced from: that of the period its time falls in.

    With a ``member``, the total that says whether a unique count has it.
    """
    cycle = pricing.cycle
    return TotalKey(
        pricing.subscription_id,
        line.charge_id,
        line.filter_id or NIL,
        cycle.period_start(at),
        group_id(line.group, member),
    )


def group_id(group: str, member: str | None = None) -> UUID:
    """What running totals call a group of a price, or a member that is counted once in it."""
    if member is None and not group:
        return NIL
    return uuid_of(hash128(group, *(() if member is None else (member,))))


class WantedTotal(Struct, frozen=True):
    """A running total that a price depends on, and what it starts from where there is none yet."""

    key: TotalKey
    line: Line
    cycle: Cycle
    is_member: bool
    """It says whether a unique count has the line's member."""


def wanted_totals(
    items: Sequence[Item], pricing: Pricing | None, *, at: datetime
) -> Iterator[WantedTotal]:
    """The running totals that items are priced from."""
    for item in items:
        for priced in item.lines:
            if priced.exact is None and pricing is not None:
                line, cycle = priced.line, pricing.cycle
                yield WantedTotal(total_key(line, pricing, at=at), line, cycle, is_member=False)
                if line.member is not None:
                    key = total_key(line, pricing, at=at, member=line.member)
                    yield WantedTotal(key, line, cycle, is_member=True)


def share_left(line: Line, cycle: Cycle, *, at: datetime) -> Fraction | None:
    """The part of the period that a prorated line pays for; None where days do not count."""
    if not line.bucket.prorated:
        return None
    bounds = cycle.period_at(at)
    return Period(start=bounds.start, end=bounds.end, zone=cycle.zone).share(at)


class _Moving:
    """Running totals as a sequence of lines moves them, apart from those it started from."""

    def __init__(
        self, totals: dict[TotalKey, Total], pricing: Pricing | None, *, at: datetime
    ) -> None:
        self._totals = totals
        self._pricing = pricing
        self._at = at
        self.moved: dict[TotalKey, Total] = {}
        self.changes: list[TotalChange] = []

    def price(self, line: Line, *, most: bool = False) -> tuple[Decimal, Total, bool]:
        """What the line adds (or the most it may add).

        And the total that was priced from, and whether a unique count had its member already.
        """
        pricing = self._pricing
        assert pricing is not None, "only an agreement has prices that need a total"
        key = total_key(line, pricing, at=self._at)
        before = self._get(key)
        is_member = False
        if line.member is not None:
            member_key = total_key(line, pricing, at=self._at, member=line.member)
            known = self._get(member_key)
            is_member = known.units > 0
            self._move(member_key, known, _member(known, is_there=not line.removes))
        price = quotes.upper_bound if most else quotes.marginal
        exact, after = price(
            line,
            before,
            plan_version_id=pricing.plan_version_id,
            is_member=is_member,
            share=share_left(line, pricing.cycle, at=self._at),
        )
        self._move(key, before, after)
        return exact, before, is_member

    def _get(self, key: TotalKey) -> Total:
        return self.moved.get(key) or self._totals.get(key, ZERO_TOTAL)

    def _move(self, key: TotalKey, before: Total, after: Total) -> None:
        self.moved[key] = after
        self.changes.append(TotalChange(key, before, after))


def _member(known: Total, *, is_there: bool) -> Total:
    return Total(units=ONE if is_there else ZERO, events=known.events + 1)


def amounts_to_hold(
    items: Sequence[Item],
    asset: Asset,
    pricing: Pricing | None,
    totals: dict[TotalKey, Total],
    *,
    at: datetime,
) -> list[int]:
    """What to hold for each item: an upper bound of its price, rounded up.

    Each item is priced as if those before it had been used. Moves no total. Raises OutOfRange.
    """
    moving = _Moving(totals, pricing, at=at)
    amounts: list[int] = []
    for item in items:
        amount_minor = item.amount_minor
        if amount_minor is None:
            amount_minor = 0
            for priced in item.lines:
                exact = priced.exact
                if exact is None:
                    exact, _, _ = moving.price(priced.line, most=True)
                amount_minor += _to_minor(exact, asset, Rounding.UP)
        amounts.append(amount_minor)
    return amounts


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
    totals of lines that are priced from one. Source: price(total + this) - what was charged so far.
    Raises OutOfRange, and has moved nothing then.
    """
    if item.amount_minor is not None:
        exact = money.to_decimal(item.amount_minor, asset.scale)
        return item.amount_minor, [EventLine(None, None, ONE, exact, item.amount_minor)], []
    amount_minor = 0
    lines: list[EventLine] = []
    moving: _Moving | None = None
    for priced in item.lines:
        line, exact, before, was_member = priced.line, priced.exact, None, False
        if exact is None:
            if moving is None:
                moving = _Moving(totals, pricing, at=at)
            exact, before, was_member = moving.price(line)
        rounded = _to_minor(exact, asset, Rounding.HALF_AWAY)
        amount_minor += rounded
        lines.append(
            EventLine(
                line.charge_id,
                line.filter_id,
                line.units,
                exact,
                rounded,
                before,
                line.group,
                line.member,
                line.removes,
                was_member,
                line.precise_amount_cents,
                line.presentation,
            )
        )
    if moving is None:
        return amount_minor, lines, []
    totals.update(moving.moved)
    return amount_minor, lines, moving.changes


def undo(changes: Sequence[TotalChange], totals: dict[TotalKey, Total]) -> None:
    """Take a refused intent's movement out of the totals again, whatever others added meanwhile."""
    for change in reversed(changes):
        now = totals.get(change.key, ZERO_TOTAL)
        totals[change.key] = take_out(now, before=change.before, after=change.after)
