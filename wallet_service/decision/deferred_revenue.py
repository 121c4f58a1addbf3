"""Native units that were sold: their money is earned as they are used, by their cost basis."""

from decimal import Context

from ledger import money, postings
from ledger.errors import InvalidAmount
from ledger.money import Rounding
from wallet_service import replies
from wallet_service.errors import Invalid, NotAllowed

from .case import Case
from .commands import Asset, Funding, RecogniseRevenue
from .outcomes import GrantChange

__all__ = ["check_cost", "cost_of", "recognise_revenue", "revenue_of"]

_PRECISE = Context(prec=200)


def cost_of(funding: Funding, asset: Asset, sold_for: Asset | None) -> int:
    """What was paid for units that are sold at a cost basis, in the money's smallest unit.

    Nothing for money itself (its amount is what was paid), for what was given away, and where
    nobody said what a unit costs. Raises Invalid.

    >>> from decimal import Decimal
    >>> hours, usd = Asset("GPU_HOUR", 2, 5, is_unit=True), Asset("USD", 9, 1)
    >>> cost_of(Funding("paid", 1050, Decimal(0), 1, cost_basis=Decimal("2.5")), hours, usd)
    26250000000
    """
    if not asset.is_unit or funding.kind != "paid" or sold_for is None:
        return 0
    if funding.cost_basis is None:
        return 0
    units = money.to_decimal(funding.amount_minor, asset.scale)
    try:
        return money.to_minor(
            _PRECISE.multiply(units, funding.cost_basis), sold_for.scale, Rounding.HALF_AWAY
        )
    except InvalidAmount as error:
        raise Invalid("cost_basis", "value_is_out_of_range", str(error)) from None


def check_cost(fundings: tuple[Funding, ...], asset: Asset, sold_for: Asset | None) -> None:
    """Raise Invalid where units would cost more than can be booked."""
    for funding in fundings:
        cost_of(funding, asset, sold_for)


def revenue_of(cost: int, granted: int, *, left: int, lost: int) -> tuple[int, int]:
    """How much of what was paid for units is earned by now, and how much is breakage.

    `left` of the units granted are still there (held ones too), `lost` have expired or were voided,
    the others were used. Cumulative, and rounded down: when nothing is left, all of it is either.

    >>> revenue_of(100, 3, left=2, lost=0), revenue_of(100, 3, left=0, lost=1)
    ((33, 0), (67, 33))
    """
    gone = min(granted, max(0, granted - left))
    broken = cost * min(lost, gone) // granted
    return cost * gone // granted - broken, broken


def recognise_revenue(case: Case, command: RecogniseRevenue) -> bytes:
    """Earn what was used since, and what has expired. Raises NotAllowed if others were first."""
    known = case.customer.deferred.get(command.grant_id)
    before = command.earned_before_minor, command.broken_before_minor
    if known is None or before != (known.earned_minor, known.broken_minor):
        raise NotAllowed("recognised_before")
    for amount, movement in (
        (command.earned_minor, postings.recognise_revenue),
        (command.broken_minor, postings.units_expired),
    ):
        if amount:
            case.book(movement(case.booking("recognise", command.money), amount=amount))
    known.earned_minor += command.earned_minor
    known.broken_minor += command.broken_minor
    case.effect.grant_changes.append(
        GrantChange(
            command.grant_id,
            is_open=None,
            earned_minor=command.earned_minor,
            broken_minor=command.broken_minor,
        )
    )
    return replies.encode(
        {
            "grant_id": command.grant_id,
            "earned": command.money.format(command.earned_minor),
            "expired": command.money.format(command.broken_minor),
        }
    )
