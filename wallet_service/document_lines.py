"""Fees as lines of documents. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from invoicing.credit_notes import CreditNoteItem
from invoicing.fees import Fee
from rating.exact import EXACT
from wallet_service.documents.document import Detail, Group, Line

__all__ = ["SubscriptionName", "groups_of", "line_of", "note_line"]

_DAY: Final = timedelta(days=1)


class SubscriptionName(Struct, frozen=True, kw_only=True):
    """How a subscription is called on paper."""

    external_id: str
    name: str | None
    plan_name: str


def groups_of(
    lines: Iterable[tuple[UUID | None, Line]], names: Mapping[UUID, SubscriptionName]
) -> list[Group]:
    """Lines by their subscription, in the order in which the first of each comes."""
    found: dict[UUID | None, list[Line]] = {}
    for subscription_id, line in lines:
        found.setdefault(subscription_id, []).append(line)
    groups: list[Group] = []
    for subscription_id, of_subscription in found.items():
        name = names.get(subscription_id) if subscription_id else None
        groups.append(
            Group(
                name=name.name if name else None,
                plan=name.plan_name if name else None,
                external_id=name.external_id if name else None,
                lines=of_subscription,
            )
        )
    return groups


def line_of(fee: Fee, zone: ZoneInfo) -> Line:
    """A fee as a line of its invoice; days are those of the customer's zone."""
    return Line(
        id=str(fee.id),
        kind=_kind(fee),
        code=fee.item_code,
        name=fee.invoice_display_name or fee.item_name,
        description=fee.description,
        filters=fee.filter_display_name,
        group={str(key): str(value) for key, value in fee.pricing_group.items()},
        from_on=None if fee.from_datetime is None else fee.from_datetime.astimezone(zone).date(),
        to_on=None if fee.to_datetime is None else _last_day(fee.to_datetime, zone),
        units=fee.units,
        unit_amount=fee.precise_unit_amount,
        amount_cents=fee.amount_cents,
        discount_cents=fee.precise_coupons_amount_cents,
        taxes_rate=fee.taxes_rate,
        taxes_cents=fee.taxes_precise_amount_cents,
        tax_codes=[str(tax.get("tax_code", "")) for tax in fee.applied_taxes],
        details=details_of(fee.amount_details),
    )


def note_line(item: CreditNoteItem, fee: Fee, zone: ZoneInfo) -> Line:
    """What a credit note gives back of a fee, with its part of the fee's coupons and taxes."""
    line = line_of(fee, zone)
    part = Decimal(0)
    if fee.amount_cents:
        part = EXACT.divide(Decimal(item.amount_cents), Decimal(fee.amount_cents))
    return structs.replace(
        line,
        units=None,
        unit_amount=None,
        amount_cents=item.amount_cents,
        discount_cents=EXACT.multiply(line.discount_cents, part),
        taxes_cents=EXACT.multiply(line.taxes_cents, part),
        details=[],
    )


def _kind(fee: Fee) -> str:
    if fee.original_fee_id is not None and fee.event_transaction_id is None:
        return "correction"
    return "minimum" if fee.true_up_parent_fee_id is not None else fee.fee_type


def _last_day(end: datetime, zone: ZoneInfo) -> date:
    """The last day of a period that ends before a moment: midnight belongs to the day before."""
    local = end.astimezone(zone)
    return local.date() - _DAY if local.time() == time() else local.date()


# --- how an amount came about: `invoicing/amount_details.py`


def details_of(stored: Mapping[str, Any]) -> list[Detail]:
    """The steps of a price, from the details that are kept with a fee."""
    for key in ("graduated_ranges", "graduated_percentage_ranges"):
        if stored.get(key):
            return [step for one in stored[key] for step in _tier(one)]
    if "per_package_size" in stored:
        return _package(stored)
    if "per_unit_amount" in stored:
        return _volume(stored)
    return []


def _tier(one: Mapping[str, Any]) -> Sequence[Detail]:
    flat = _number(one.get("flat_unit_amount"))
    tier = Detail(
        kind="tier",
        from_value=_number(one.get("from_value")),
        to_value=_number(one.get("to_value")),
        units=_number(one.get("units")),
        unit_amount=_number(one.get("per_unit_amount")),
        rate=_number(one.get("rate")),
        amount=_number(one.get("per_unit_total_amount")),
    )
    return [tier, Detail(kind="tier_flat", amount=flat)] if flat else [tier]


def _package(stored: Mapping[str, Any]) -> list[Detail]:
    free, packages = _number(stored.get("free_units")), _number(stored.get("packages"))
    price = _number(stored.get("per_package_unit_amount"))
    steps = [Detail(kind="free", units=free, amount=Decimal(0))] if free else []
    amount = EXACT.multiply(packages, price) if packages is not None and price is not None else None
    size = _number(stored.get("per_package_size"))
    paid = Detail(
        kind="package", package_size=size, units=packages, unit_amount=price, amount=amount
    )
    return [*steps, paid]


def _volume(stored: Mapping[str, Any]) -> list[Detail]:
    flat = _number(stored.get("flat_unit_amount"))
    volume = Detail(
        kind="volume",
        unit_amount=_number(stored.get("per_unit_amount")),
        amount=_number(stored.get("per_unit_total_amount")),
    )
    return [volume, Detail(kind="flat_fee", amount=flat)] if flat else [volume]


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
