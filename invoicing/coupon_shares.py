"""What coupons take off an invoice, and off each of its lines.

    fees ─► coupons of metrics ─► coupons of plans ─► coupons of everything ─► fees net of coupons
            (in each group the oldest first)

Source: Lago's invoices: coupons come before taxes, in that order, and each lowers the lines that
it is for in proportion to what is left of them. Amounts are in the currency's minor unit. What a
coupon takes off is a whole number of it; the shares of the lines are exact to ten decimals, and
their sum is exactly what the coupon took off.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing.fees import Fee

SHARE_DECIMALS: Final = 10
_GRAIN: Final[int] = 10**SHARE_DECIMALS
_PRECISE: Final = Context(prec=100, rounding=ROUND_HALF_UP)


class UsableCoupon(Struct, frozen=True, kw_only=True):
    """What a coupon that was given to a customer may still take off."""

    applied_coupon_id: UUID
    code: str
    name: str
    amount_cents: int | None
    """What is left of a fixed amount; None if the coupon is a percentage."""
    amount_currency: str | None
    percentage_rate: Decimal | None
    """20 is a fifth; None if the coupon is an amount."""
    plan_codes: Collection[str] = ()
    """Only lines of subscriptions to these plans, if there are any."""
    billable_metric_codes: Collection[str] = ()
    """Only lines of usage of these metrics, if there are any."""
    applied_at: datetime


class CouponCredit(Struct, frozen=True, kw_only=True):
    """What one coupon takes off an invoice."""

    applied_coupon_id: UUID
    code: str
    name: str
    amount_cents: int


def apply_coupons(
    fees: Sequence[Fee],
    coupons: Sequence[UsableCoupon],
    *,
    currency: str,
    plan_codes: Mapping[UUID, str],
) -> tuple[list[Fee], list[CouponCredit]]:
    """Let the coupons lower the lines: the lines with their shares, and what each coupon took off.

    `plan_codes` names the plan of each subscription. A line's `precise_coupons_amount_cents` is
    taken as what it was lowered by before (by a progressive invoice), and rises. A coupon that
    finds nothing to lower, or is an amount of another currency, is not used and not listed. Neither
    a line nor the invoice falls below zero.
    """
    lowered = list(fees)
    taken: list[CouponCredit] = []
    for coupon in sorted(coupons, key=_order):
        meant = [fee for fee in lowered if _is_for(coupon, fee, plan_codes)]
        amount = min(_wanted(coupon, meant, currency), _whole(meant), _whole(lowered))
        if amount > 0:
            lowered = lower(lowered, amount, only={fee.id for fee in meant})
            taken.append(
                CouponCredit(
                    applied_coupon_id=coupon.applied_coupon_id,
                    code=coupon.code,
                    name=coupon.name,
                    amount_cents=amount,
                )
            )
    return lowered, taken


def lower(
    fees: Sequence[Fee], amount_cents: int, *, only: Collection[UUID] | None = None
) -> list[Fee]:
    """Take an amount off lines, in proportion to what is left of each; all of them, or those named.

    The shares do not depend on the order of the lines, add up to the amount exactly, and none is
    more than is left of its line. The amount is at most what is left of the lines.
    """
    left = {fee.id: _left(fee) for fee in fees if only is None or fee.id in only}
    shares = _split(amount_cents * _GRAIN, {name: part for name, part in left.items() if part > 0})
    return [
        structs.replace(
            fee,
            precise_coupons_amount_cents=_PRECISE.add(
                fee.precise_coupons_amount_cents, _decimal(shares[fee.id])
            ),
        )
        if shares.get(fee.id)
        else fee
        for fee in fees
    ]


def net_cents(fee: Fee) -> Decimal:
    """What is left of a line after coupons, before taxes."""
    return _PRECISE.subtract(Decimal(fee.amount_cents), fee.precise_coupons_amount_cents)


def _order(coupon: UsableCoupon) -> tuple[int, datetime, UUID]:
    """Those that are for the fewest things first, then the oldest."""
    rank = 0 if coupon.billable_metric_codes else 1 if coupon.plan_codes else 2
    return rank, coupon.applied_at, coupon.applied_coupon_id


def _is_for(coupon: UsableCoupon, fee: Fee, plan_codes: Mapping[UUID, str]) -> bool:
    if coupon.billable_metric_codes:
        return fee.billable_metric_code in coupon.billable_metric_codes
    if coupon.plan_codes:
        plan = None if fee.subscription_id is None else plan_codes.get(fee.subscription_id)
        return plan in coupon.plan_codes
    return True


def _wanted(coupon: UsableCoupon, fees: Sequence[Fee], currency: str) -> int:
    """What the coupon would take off, were there enough."""
    if coupon.percentage_rate is None:
        assert coupon.amount_cents is not None
        return coupon.amount_cents if coupon.amount_currency == currency else 0
    base = _decimal(sum(_left(fee) for fee in fees))
    part = _PRECISE.multiply(base, coupon.percentage_rate).scaleb(-2, _PRECISE)
    return int(part.to_integral_value(ROUND_HALF_UP, _PRECISE))


def _whole(fees: Sequence[Fee]) -> int:
    """How many whole cents are left of lines; corrections may have made some negative."""
    return sum(_left(fee) for fee in fees) // _GRAIN


def _left(fee: Fee) -> int:
    """What is left of a line, in grains."""
    return int(net_cents(fee).scaleb(SHARE_DECIMALS, _PRECISE))


def _decimal(grains: int) -> Decimal:
    return Decimal(grains).scaleb(-SHARE_DECIMALS, _PRECISE)


def _split(amount: int, parts: Mapping[UUID, int]) -> dict[UUID, int]:
    """Split whole grains in proportion: rounded down, then the largest remainders get one more."""
    total = sum(parts.values())
    assert 0 <= amount <= total, "more is taken off than there is"
    if not total:
        return {}
    shares = {name: amount * part // total for name, part in parts.items()}
    missing = amount - sum(shares.values())
    by_remainder = sorted(parts, key=lambda name: (-(amount * parts[name] % total), name))
    for name in by_remainder[:missing]:
        shares[name] += 1
    return shares
