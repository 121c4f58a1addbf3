"""Lines of invoices that are made by hand: units of add-ons. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct

from invoicing.add_ons import AddOn
from invoicing.errors import Invalid
from invoicing.fees import Fee
from invoicing.invoice_totals import most_cents
from invoicing.usage_fees import FeePlace, each_of
from ledger.ids import new_uuid
from ledger.money import to_shown_minor
from rating.exact import EXACT

__all__ = ["FEES_MAX", "OneOffFee", "one_off_fees"]

FEES_MAX: Final = 500
_UNITS_MAX: Final = Decimal(10) ** 15
_UNIT_DIGITS_MAX: Final = 18


class OneOffFee(Struct, frozen=True, kw_only=True):
    """So many units of an add-on; what is None is the add-on's own."""

    add_on_code: str | None = None
    units: Decimal = Decimal(1)
    unit_amount_cents: int | None = None
    name: str | None = None
    description: str | None = None
    invoice_display_name: str | None = None
    tax_codes: list[str] | None = None
    from_datetime: datetime | None = None
    to_datetime: datetime | None = None


def one_off_fees(
    place: FeePlace, wanted: Sequence[OneOffFee], add_ons: Mapping[str, AddOn]
) -> list[Fee]:
    """The lines; raises Invalid, which names the field. `add_ons` are those named, by code."""
    if not wanted:
        raise Invalid.field("fees", "value_is_mandatory")
    if len(wanted) > FEES_MAX:
        raise Invalid.field("fees", "invalid_count")
    return [_fee(place, position, one, add_ons) for position, one in enumerate(wanted)]


def _fee(place: FeePlace, position: int, one: OneOffFee, add_ons: Mapping[str, AddOn]) -> Fee:
    under = f"fees.{position}"
    add_on = add_ons.get(one.add_on_code) if one.add_on_code else None
    if add_on is None:
        raise Invalid.field(f"{under}.add_on_code", "add_on_not_found")
    if one.unit_amount_cents is None and add_on.amount_currency != place.currency:
        raise Invalid.field(f"{under}.unit_amount_cents", "currencies_does_not_match")
    each = add_on.amount_cents if one.unit_amount_cents is None else one.unit_amount_cents
    exponent = one.units.as_tuple().exponent if one.units.is_finite() else None
    if not isinstance(exponent, int) or exponent < -_UNIT_DIGITS_MAX or one.units < 0:
        raise Invalid.field(f"{under}.units", "value_is_out_of_range")
    if one.units > _UNITS_MAX:
        raise Invalid.field(f"{under}.units", "value_is_out_of_range")
    precise = EXACT.multiply(one.units, Decimal(each))
    most = most_cents(place.currency)
    if not 0 <= each <= most or precise > most:
        raise Invalid.field(f"{under}.unit_amount_cents", "value_is_out_of_range")
    start = one.from_datetime or place.now
    end = one.to_datetime or start
    if end < start:
        raise Invalid.field(f"{under}.to_datetime", "value_is_out_of_range")
    return Fee(
        organization_id=place.organization_id,
        id=new_uuid(place.now),
        invoice_id=place.invoice_id,
        customer_id=place.customer_id,
        fee_type="add_on",
        position=position,
        add_on_id=add_on.id,
        item_code=add_on.code,
        item_name=one.name or add_on.name,
        invoice_display_name=one.invoice_display_name or add_on.invoice_display_name,
        description=one.description or add_on.description,
        units=one.units,
        amount_cents=to_shown_minor(precise, 0),
        precise_amount_cents=precise,
        precise_unit_amount=each_of(precise, one.units, place.currency),
        amount_currency=place.currency,
        tax_codes=add_on.tax_codes if one.tax_codes is None else one.tax_codes,
        from_datetime=start,
        to_datetime=end,
        created_at=place.now,
        updated_at=place.now,
    )
