"""What callers change of fees: lines of drafts that are adjusted, and fees that stand alone.

An adjustment is kept with the line that it is for, and a line has the same id whenever its draft is
computed anew: so it survives. Whoever adjusts a line has its draft computed anew.
Source: Lago, adjusted fees.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, convert, structs, to_builtins

from invoicing import fees, invoices
from invoicing.errors import Invalid, NotAllowed
from invoicing.fees import Fee
from invoicing.invoice_totals import MONEY_SCALE, most_cents
from invoicing.records import Connection
from invoicing.usage_fees import cents_of
from ledger.money import MAX_MINOR
from rating.exact import EXACT

__all__ = [
    "Adjustment",
    "AdjustmentChanges",
    "adjust",
    "adjusted",
    "computed",
    "delete",
    "set_payment_status",
]

_AMOUNT_MAX: Final = Decimal(MAX_MINOR).scaleb(-MONEY_SCALE)
"""In the currency's unit: what the book counts at once."""
_UNITS_MAX: Final = Decimal(10) ** 18
_NUMBER_DIGITS_MAX: Final = 40
_SMALLEST_EXPONENT: Final = -20


class Adjustment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands instead of what was computed; None: what was computed."""

    units: Decimal | None = None
    unit_precise_amount: Decimal | None = None
    invoice_display_name: str | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether it leaves all as it is."""
        return self == Adjustment()


class AdjustmentChanges(Struct, frozen=True, kw_only=True):
    """What to set: UNSET leaves it, None takes the adjustment back."""

    units: Decimal | UnsetType | None = UNSET
    unit_precise_amount: Decimal | UnsetType | None = UNSET
    invoice_display_name: str | UnsetType | None = UNSET


def adjusted(computed: Iterable[Fee], before: Sequence[Fee]) -> list[Fee]:
    """The lines of a draft that was computed anew, with the adjustments of those it had before.

    What became of a line that is no longer there is forgotten with it.
    """
    known = {fee.id: fee.adjustment for fee in before if fee.adjustment is not None}
    return [
        _with(fee, convert(known[fee.id], Adjustment, strict=False)) if fee.id in known else fee
        for fee in computed
    ]


def computed(fee: Fee) -> Fee:
    """A line as it was before somebody adjusted it: with the units and amounts of its usage."""
    known = (fee.adjustment or {}).get("computed")
    if known is None:
        return fee
    units, precise = Decimal(known["units"]), Decimal(known["precise_amount_cents"])
    return structs.replace(
        fee, units=units, amount_cents=known["amount_cents"], precise_amount_cents=precise
    )


async def adjust(
    connection: Connection,
    organization_id: UUID,
    fee_id: UUID,
    changes: AdjustmentChanges,
    *,
    now: datetime,
) -> UUID:
    """Adjust a line of a draft; returns the draft, which is then to be computed anew.

    Units alone are charged at what a unit costs on average. Raises NotFound, Invalid, and
    NotAllowed (`invalid_status`) where it is a line of something else.
    """
    invoice_id = (await fees.get(connection, organization_id, fee_id)).invoice_id
    if invoice_id is None:
        raise NotAllowed("invalid_status")
    invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
    if invoice.status != "draft":
        raise NotAllowed("invalid_status")
    lines = (await fees.of_invoices(connection, organization_id, [invoice_id]))[invoice_id]
    (fee,) = (line for line in lines if line.id == fee_id)
    given = {name: value for name, value in structs.asdict(changes).items() if value is not UNSET}
    adjustment = structs.replace(_stored(fee), **given)
    others = sum(line.amount_cents for line in lines) - fee.amount_cents
    _check(fee, adjustment, others_cents=others)
    stored: dict[str, Any] | None = to_builtins(adjustment)
    await fees.save(
        connection,
        structs.replace(
            fee,
            adjustment=None if adjustment.is_nothing else stored,
            is_adjusted=not adjustment.is_nothing,
            updated_at=now,
        ),
    )
    # Who is finalising the draft has read other lines, and begins again.
    changed = structs.replace(invoice, revision=invoice.revision + 1, updated_at=now)
    await invoices.save(connection, changed)
    return invoice_id


async def set_payment_status(
    connection: Connection, organization_id: UUID, fee_id: UUID, status: str, *, now: datetime
) -> Fee:
    """Say what has become of a fee that is paid by itself.

    Raises NotFound, Invalid, and NotAllowed (`invoiced_fee`): a line is paid with its invoice.
    """
    fee = await fees.get(connection, organization_id, fee_id)
    if status not in fees.PAYMENT_STATUSES:
        raise Invalid.field("payment_status", "value_is_invalid")
    if fee.invoice_id is not None:
        raise NotAllowed("invoiced_fee")
    times: dict[str, datetime] = {} if status == "pending" else {f"{status}_at": now}
    changed = structs.replace(fee, payment_status=status, updated_at=now, **times)
    await fees.save(connection, changed)
    return changed


async def delete(
    connection: Connection, organization_id: UUID, fee_id: UUID, *, now: datetime
) -> Fee:
    """Withdraw a fee that stands alone. Raises NotFound and NotAllowed (`invoiced_fee`)."""
    fee = await fees.get(connection, organization_id, fee_id)
    if fee.invoice_id is not None:
        raise NotAllowed("invoiced_fee")
    await fees.save(connection, structs.replace(fee, deleted_at=now, updated_at=now))
    return fee


def _stored(fee: Fee) -> Adjustment:
    return convert(fee.adjustment or {}, Adjustment, strict=False)


def _with(fee: Fee, adjustment: Adjustment) -> Fee:
    """The line as it was adjusted."""
    units = fee.units if adjustment.units is None else adjustment.units
    each = adjustment.unit_precise_amount
    if each is None:
        each = fee.precise_unit_amount
    changed = structs.replace(
        fee,
        invoice_display_name=adjustment.invoice_display_name or fee.invoice_display_name,
        is_adjusted=True,
        adjustment=to_builtins(adjustment),
    )
    if adjustment.units is None and adjustment.unit_precise_amount is None:
        return changed
    cents, precise = cents_of(EXACT.multiply(units, each), fee.amount_currency)
    return structs.replace(
        changed,
        units=units,
        precise_unit_amount=each,
        amount_cents=cents,
        precise_amount_cents=precise,
        amount_details={},
        adjustment={
            **to_builtins(adjustment),
            "computed": {
                "units": str(fee.units),
                "amount_cents": fee.amount_cents,
                "precise_amount_cents": str(fee.precise_amount_cents),
            },
        },
    )


def _check(fee: Fee, adjustment: Adjustment, *, others_cents: int) -> None:
    """Raise Invalid with all that is wrong; the draft's other lines come to `others_cents`."""
    problems: dict[str, list[str]] = {}
    for name, most in (("units", _UNITS_MAX), ("unit_precise_amount", _AMOUNT_MAX)):
        value: Decimal | None = getattr(adjustment, name)
        if value is None:
            continue
        if not value.is_finite() or not 0 <= value <= most:
            problems[name] = ["value_is_out_of_range"]
        elif (
            len(value.as_tuple().digits) > _NUMBER_DIGITS_MAX
            or value.adjusted() < _SMALLEST_EXPONENT
        ):
            problems[name] = ["value_is_invalid"]
    if problems:
        raise Invalid(problems)
    units = fee.units if adjustment.units is None else adjustment.units
    each = adjustment.unit_precise_amount
    each = fee.precise_unit_amount if each is None else each
    amount = EXACT.multiply(units, each)
    is_bookable = abs(amount) <= _AMOUNT_MAX
    if is_bookable:
        cents, _ = cents_of(amount, fee.amount_currency)
        is_bookable = abs(others_cents + cents) < most_cents(fee.amount_currency)
    if not is_bookable:
        field = "units" if adjustment.units is not None else "unit_precise_amount"
        raise Invalid.field(field, "value_is_out_of_range")
