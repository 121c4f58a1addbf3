"""What a period costs beside its usage: fixed charges, minimums, the plan's own fee. Pure.

Amounts are exact: whoever bills them rounds each to its currency. Usage is priced elsewhere
(`usage`), and given here as what each charge came to.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Final, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from invoicing.billing_moments import trial_end
from invoicing.charge_properties import model_of
from invoicing.currencies import CURRENCIES
from invoicing.days import days_of
from invoicing.fixed_charges import PlanFixedCharge
from invoicing.periods import Bounds
from invoicing.plan_terms import ChargeMinimum, PlanTerms
from invoicing.subscription_fees import commitment_fee, subscription_fee
from rating.charge_models import Graduated, Standard, Volume
from rating.exact import EXACT, ZERO
from rating.fixed_charges import FixedTerms, UnitsChange, fixed_fees_in_advance, rate_fixed_charge
from rating.minimums import true_up
from rating.period import Period

__all__ = [
    "FEE_KINDS",
    "FeeKind",
    "PeriodFee",
    "Subscribed",
    "UsedAmounts",
    "fixed_charge_fee",
    "fixed_terms",
    "period_fees",
]

FeeKind: TypeAlias = Literal["minimum", "fixed_charge", "subscription", "commitment"]
"""What a fee is for.

    minimum        what is missing to the minimum of a charge
    fixed_charge   the units of an add-on
    subscription   the plan's own amount
    commitment     what is missing to the minimum commitment of the plan
"""

FEE_KINDS: Final[tuple[FeeKind, ...]] = ("minimum", "fixed_charge", "subscription", "commitment")


class PeriodFee(Struct, frozen=True, kw_only=True):
    """One fee of a period."""

    kind: FeeKind
    asset_code: str
    amount: Decimal
    """Exact, not rounded."""
    source: PlanFixedCharge | ChargeMinimum | None = None
    """What it is for; None: the plan itself."""


class Subscribed(Struct, frozen=True, kw_only=True):
    """A subscription, as far as the fees of its periods depend on it."""

    started_at: datetime
    first_started_at: datetime
    """When the first of a chain of plan changes began: its trial goes on."""
    period_after: Callable[[datetime], datetime]
    """When the period begins that what is agreed at some time counts from: then, or the next."""


class UsedAmounts(Struct, frozen=True, kw_only=True):
    """What the usage of a period came to, exactly."""

    by_charge: Mapping[UUID, Decimal] = {}
    """Each charge in its own asset, over filters and groups. An alternative is none of them."""
    in_currency: Decimal = ZERO
    """All usage that was priced in the plan's currency."""


def period_fees(
    terms: PlanTerms,
    subscribed: Subscribed,
    period: Period,
    used: UsedAmounts,
    *,
    whole: Bounds,
) -> list[PeriodFee]:
    """All fees of a period, or of the part of it that a subscription lived; those of zero too.

    `whole` is the billing period that `period` is, or is a part of.

    Minimums and the commitment are asked for by the days of that part, and so is the plan's amount.
    The subscription fee, all usage and what is missing to the charges' minimums count towards the
    commitment; fixed charges do not. Source: Lago, spending minimums and minimum commitments.
    """
    fees = [_missing(minimum, period, used) for minimum in terms.minimums_in(*_of(period))]
    towards = [fee.amount for fee in fees if fee.asset_code == terms.currency]
    for charge in terms.fixed_in(*_of(period)):
        changes = terms.changes_of(charge.id, subscribed.started_at, subscribed.period_after)
        fees.append(
            PeriodFee(
                kind="fixed_charge",
                asset_code=terms.currency,
                amount=fixed_charge_fee(charge, changes, period),
                source=charge,
            )
        )
    own = _own_fee(terms, subscribed, period, whole)
    fees.append(PeriodFee(kind="subscription", asset_code=terms.currency, amount=own))
    lived = days_of(Bounds(*_of(period)), whole, period.zone)
    if lived and terms.commitment_cents:
        exponent = CURRENCIES[terms.currency]
        counted = _total([own, used.in_currency, *towards])
        missing = commitment_fee(
            terms.commitment_cents, lived, billed_cents=EXACT.scaleb(counted, exponent)
        )
        amount = EXACT.scaleb(missing.precise_amount_cents, -exponent)
        fees.append(PeriodFee(kind="commitment", asset_code=terms.currency, amount=amount))
    return fees


def _own_fee(terms: PlanTerms, subscribed: Subscribed, period: Period, whole: Bounds) -> Decimal:
    """The plan's amount for the days of a period that are not of its trial."""
    start = period.start
    ends = trial_end(subscribed.first_started_at, terms.trial_days, period.zone)
    if ends is not None:
        start = max(start, ends)
    paid = days_of(Bounds(start, period.end), whole, period.zone)
    if paid is None:
        return ZERO
    fee = subscription_fee(terms.amount_cents, paid)
    return EXACT.scaleb(fee.precise_amount_cents, -CURRENCIES[terms.currency])


def fixed_charge_fee(
    charge: PlanFixedCharge, changes: Iterable[UnitsChange], period: Period
) -> Decimal:
    """What a fixed charge costs in a period: what was billed on the way, or what its end bills.

    `changes` are all changes of its units for the subscription (`PlanTerms.changes_of`).
    """
    terms = fixed_terms(charge)
    if terms.pay_in_advance:
        return fixed_fees_in_advance(terms, changes, period).total
    return rate_fixed_charge(terms, changes, period).amount


def fixed_terms(charge: PlanFixedCharge) -> FixedTerms:
    """A fixed charge, as it is rated."""
    model = model_of(charge.charge_model, charge.properties)
    assert isinstance(model, Standard | Graduated | Volume), "checked when it was agreed"
    return FixedTerms(model=model, pay_in_advance=charge.pay_in_advance, prorated=charge.prorated)


def _missing(minimum: ChargeMinimum, period: Period, used: UsedAmounts) -> PeriodFee:
    amount = true_up(
        minimum.amount, used=used.by_charge.get(minimum.charge_id, ZERO), period=period
    )
    return PeriodFee(kind="minimum", asset_code=minimum.asset_code, amount=amount, source=minimum)


def _of(period: Period) -> tuple[datetime, datetime]:
    return period.start, period.end


def _total(amounts: Sequence[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, ZERO)
