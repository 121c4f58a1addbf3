"""The fixed charges of a plan: units of an add-on, paid whatever is used. Pure.

Like a charge, a fixed charge keeps its id and code for as long as the plan has it. It is in the
plan's currency.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing.charge_properties import model_of, read_properties
from invoicing.codes import free_code
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid
from invoicing.records import Record, apply
from ledger.ids import new_uuid

FIXED_CHARGES_MAX: Final = 500
_CHARGE_MODELS: Final = frozenset({"standard", "graduated", "volume"})
_UNITS_MAX: Final = Decimal(10) ** 18
_FRACTION_DIGITS_MAX: Final = 18


class PricedAddOn(Record, frozen=True, kw_only=True):
    """What a fixed charge takes over from its add-on."""

    json_columns: ClassVar[tuple[str, ...]] = ()

    id: UUID
    code: str
    name: str
    invoice_display_name: str | None = None
    amount_cents: int
    amount_currency: str

    def shown_name(self) -> str:
        """What invoices call it."""
        return self.invoice_display_name or self.name


class PlanFixedCharge(Struct, frozen=True, kw_only=True):
    """A fixed charge as a plan version stores it."""

    id: UUID
    code: str
    add_on_id: UUID
    add_on_code: str
    add_on_name: str
    charge_model: str
    properties: dict[str, Any]
    units: Decimal
    pay_in_advance: bool = False
    prorated: bool = False
    invoice_display_name: str | None = None
    tax_codes: list[str] = []
    created_at: datetime


class FixedChargeChanges(Struct, kw_only=True):
    """A fixed charge as a caller gives it: an `id` or `code` of the plan means that one."""

    id: UUID | None = None
    add_on_id: UUID | None = None
    add_on_code: str | None = None
    code: str | None = None
    charge_model: str | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    units: Decimal | UnsetType = UNSET
    pay_in_advance: bool | UnsetType = UNSET
    prorated: bool | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    apply_units_immediately: bool | UnsetType = UNSET
    tax_codes: list[str] | UnsetType = UNSET


def merge(
    existing: Sequence[PlanFixedCharge],
    wanted: Sequence[FixedChargeChanges],
    add_ons: Sequence[PricedAddOn],
    *,
    currency: str,
    now: datetime,
) -> list[PlanFixedCharge]:
    """The fixed charges of the next version: those of `wanted`, in its order; raises Invalid.

    What `wanted` does not name is gone. `add_ons` are those that it names.
    """
    if len(wanted) > FIXED_CHARGES_MAX:
        raise Invalid.field("fixed_charges", "invalid_count")
    problems: dict[str, list[str]] = {}
    messages: list[str] = []
    merged: list[PlanFixedCharge] = []
    for position, changes in enumerate(wanted):
        try:
            one = merge_one(existing, changes, add_ons, taken=merged, currency=currency, now=now)
        except Invalid as error:
            error = error.under(f"fixed_charges.{position}")
            problems |= error.details
            messages += [error.message] if error.message else []
        else:
            merged.append(one)
    if problems:
        raise Invalid(problems, "; ".join(dict.fromkeys(messages)))
    return merged


def merge_one(
    existing: Sequence[PlanFixedCharge],
    changes: FixedChargeChanges,
    add_ons: Sequence[PricedAddOn],
    *,
    taken: Sequence[PlanFixedCharge],
    currency: str,
    now: datetime,
) -> PlanFixedCharge:
    """One fixed charge after the changes; raises Invalid. `taken` are the others of the version."""
    before = _named(existing, changes)
    add_on = _add_on(changes, before, add_ons)
    codes = {charge.code for charge in (*existing, *taken)}
    code = changes.code or (before.code if before else free_code(add_on.code, codes))
    if any(other.code == code or (before and other.id == before.id) for other in taken):
        raise Invalid.field("code", "value_already_exist")
    charge_model = changes.charge_model or (before.charge_model if before else "")
    if charge_model not in _CHARGE_MODELS:
        known = "value_is_invalid" if charge_model else "value_is_mandatory"
        raise Invalid.field("charge_model", known)
    if before is None and isinstance(changes.units, UnsetType):
        raise Invalid.field("units", "value_is_mandatory")
    blank = before or PlanFixedCharge(
        id=new_uuid(now),
        code=code,
        add_on_id=add_on.id,
        add_on_code=add_on.code,
        add_on_name=add_on.shown_name(),
        charge_model=charge_model,
        properties={},
        units=Decimal(0),
        created_at=now,
    )
    properties = {} if blank.charge_model != charge_model else blank.properties
    if not isinstance(changes.properties, UnsetType):
        properties = read_properties(charge_model, changes.properties).settings
    charge = structs.replace(
        with_add_on(apply(_Settings.of(changes), blank), add_on),
        code=code,
        charge_model=charge_model,
        properties=properties or _price_of(add_on, charge_model, currency=currency),
    )
    check_fixed_charge(charge)
    return charge


def with_add_on(charge: PlanFixedCharge, add_on: PricedAddOn) -> PlanFixedCharge:
    """The fixed charge as it is after a change of its add-on's names."""
    return structs.replace(
        charge, add_on_id=add_on.id, add_on_code=add_on.code, add_on_name=add_on.shown_name()
    )


def check_fixed_charge(charge: PlanFixedCharge) -> None:
    """Raise Invalid with all that does not go together. Source: Lago, fixed charges."""
    problems: dict[str, list[str]] = {}
    if not charge.code.strip():
        problems["code"] = ["value_is_mandatory"]
    if not _are_units(charge.units):
        problems["units"] = ["value_is_out_of_range"]
    if charge.pay_in_advance and charge.charge_model == "volume":
        problems["pay_in_advance"] = ["invalid_charge_model"]
    if charge.pay_in_advance and charge.prorated and charge.charge_model == "graduated":
        problems["prorated"] = ["invalid_charge_model"]
    if problems:
        raise Invalid(problems)
    model_of(charge.charge_model, charge.properties)


class _Settings(Struct, kw_only=True):
    """The fields that are taken over as they are."""

    units: Decimal | UnsetType
    pay_in_advance: bool | UnsetType
    prorated: bool | UnsetType
    invoice_display_name: str | UnsetType | None
    tax_codes: list[str] | UnsetType

    @classmethod
    def of(cls, changes: FixedChargeChanges) -> "_Settings":
        return cls(**{name: getattr(changes, name) for name in cls.__struct_fields__})


def _price_of(add_on: PricedAddOn, charge_model: str, *, currency: str) -> dict[str, Any]:
    """The add-on's own price of a unit, where that is a price here; raises Invalid where not."""
    if charge_model != "standard" or add_on.amount_currency != currency:
        raise Invalid.field("properties", "value_is_mandatory")
    amount = Decimal(add_on.amount_cents).scaleb(-CURRENCIES[currency])
    return {"amount": format(amount, "f")}


def _named(
    existing: Sequence[PlanFixedCharge], changes: FixedChargeChanges
) -> PlanFixedCharge | None:
    """The fixed charge that is meant. An unknown id is as good as none."""
    for charge in existing:
        if charge.id == changes.id:
            return charge
    if changes.id is None and changes.code is not None:
        return next((charge for charge in existing if charge.code == changes.code), None)
    return None


def _add_on(
    changes: FixedChargeChanges, before: PlanFixedCharge | None, add_ons: Sequence[PricedAddOn]
) -> PricedAddOn:
    add_on_id = changes.add_on_id
    if add_on_id is None and changes.add_on_code is None:
        if before is None:
            raise Invalid.field("add_on_id", "value_is_mandatory")
        add_on_id = before.add_on_id
    for add_on in add_ons:
        if add_on.id == add_on_id or (add_on_id is None and add_on.code == changes.add_on_code):
            return add_on
    raise Invalid.field("add_on_id" if add_on_id else "add_on_code", "add_on_not_found")


def _are_units(units: Decimal) -> bool:
    exponent = units.as_tuple().exponent
    return (
        isinstance(exponent, int)
        and 0 <= units < _UNITS_MAX
        and (exponent >= -_FRACTION_DIGITS_MAX)
    )
