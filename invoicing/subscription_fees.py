"""What a plan's own amount costs for a part of its period, and what of it is given back. Pure.

A day costs the plan's amount divided by the days of the whole period. Amounts are in the currency's
minor unit, rounded half away from zero once, at the end. Source: Lago, subscriptions and minimum
commitments.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from msgspec import Struct

from invoicing.days import Days
from ledger.money import to_shown_minor
from rating.exact import EXACT, ZERO, divided

__all__ = ["SubscriptionFee", "commitment_fee", "subscription_fee", "unused_amount"]

_ONE: Final = Decimal(1)


class SubscriptionFee(Struct, frozen=True):
    """An amount for a part of a period: in whole cents, and as it was before rounding."""

    amount_cents: int
    precise_amount_cents: Decimal
    units: Decimal = _ONE


def subscription_fee(amount_cents: int, days: Days) -> SubscriptionFee:
    """What the plan's amount is for a stretch of days: amount / days of the period * days.

    The stretch of a billing moment has no days of a trial in it: they are free.
    """
    precise = _of(amount_cents, days.share)
    return SubscriptionFee(to_shown_minor(precise, 0), precise)


def unused_amount(amount_cents: int, days: Days) -> SubscriptionFee:
    """What is given back, before tax, of a plan that was paid in advance for these days."""
    return subscription_fee(amount_cents, days)


def commitment_fee(commitment_cents: int, days: Days, *, billed_cents: Decimal) -> SubscriptionFee:
    """What is missing to the minimum commitment of a period; nothing where enough was billed.

    `days` is the part of the plan's period that was lived, `billed_cents` the precise amount of
    the plan and all of its charges in it, before tax.
    """
    precise = max(EXACT.subtract(_of(commitment_cents, days.share), billed_cents), ZERO)
    return SubscriptionFee(to_shown_minor(precise, 0), precise)


def _of(amount_cents: int, share: Fraction) -> Decimal:
    return divided(Decimal(amount_cents * share.numerator), Decimal(share.denominator))
