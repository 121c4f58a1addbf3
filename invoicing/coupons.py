"""Coupons: what customers may be given to pay less.

    amount or percentage   once, for so many invoices, or for ever   of everything, plans or metrics

What a customer was given keeps the worth it had then; what the coupon is limited to is looked at
when it is used. A coupon ends when its time is over or it is deleted: it is not given any more.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from invoicing.tax_codes import distinct
from invoicing.taxes import is_rate
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

PERCENTAGE_MAX: Final = 100
_AMOUNT_CENTS_MAX: Final = 2**63 - 1
_DURATION_MAX: Final = 2**31 - 1


class Worth(Struct, frozen=True, kw_only=True):
    """What a coupon takes off an invoice, and how often."""

    coupon_type: str
    amount_cents: int | None
    amount_currency: str | None
    percentage_rate: Decimal | None
    frequency: str
    frequency_duration: int | None


class Coupon(Record, frozen=True, kw_only=True):
    """A coupon as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("plan_codes", "billable_metric_codes")

    organization_id: UUID
    id: UUID
    code: str = ""
    name: str = ""
    description: str | None = None
    coupon_type: str = ""
    amount_cents: int | None = None
    amount_currency: str | None = None
    percentage_rate: Decimal | None = None
    frequency: str = ""
    frequency_duration: int | None = None
    reusable: bool = True
    expiration: str = "no_expiration"
    expiration_at: datetime | None = None
    plan_codes: list[str] = field(default_factory=list[str])
    billable_metric_codes: list[str] = field(default_factory=list[str])
    terminated_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def worth(self) -> Worth:
        """What it takes off, unless it is given with other terms."""
        return Worth(**{name: getattr(self, name) for name in Worth.__struct_fields__})

    def is_given(self, now: datetime) -> bool:
        """Whether customers may still be given it."""
        is_over = self.expiration_at is not None and self.expiration_at <= now
        return self.terminated_at is None and not is_over


class CouponChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    coupon_type: str | UnsetType = UNSET
    amount_cents: int | UnsetType | None = UNSET
    amount_currency: str | UnsetType | None = UNSET
    percentage_rate: Decimal | UnsetType | None = UNSET
    frequency: str | UnsetType = UNSET
    frequency_duration: int | UnsetType | None = UNSET
    reusable: bool | UnsetType = UNSET
    expiration: str | UnsetType = UNSET
    expiration_at: datetime | UnsetType | None = UNSET
    plan_codes: list[str] | UnsetType = UNSET
    billable_metric_codes: list[str] | UnsetType = UNSET


async def create(
    connection: Connection, organization_id: UUID, changes: CouponChanges, *, now: datetime
) -> Coupon:
    """Add a coupon; raises Invalid."""
    blank = Coupon(
        organization_id=organization_id, id=new_uuid(now), created_at=now, updated_at=now
    )
    coupon = _normal(apply(changes, blank))
    problems = _problems(coupon)
    if coupon.expiration_at is not None and coupon.expiration_at <= now:
        problems["expiration_at"] = ["value_is_invalid"]
    await _check(connection, coupon, problems)
    row = await _queries.insert_coupon(connection, **coupon.columns())
    if row is None:
        raise Invalid.field("code", "value_already_exist")
    return Coupon.of(row)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: CouponChanges,
    *,
    now: datetime,
) -> Coupon:
    """Change a coupon: its worth for those who are given it from now on. Raises NotFound, Invalid.

    What it is limited to changes for those too who have it already.
    """
    before = await get(connection, organization_id, code)
    coupon = _normal(structs.replace(apply(changes, before), updated_at=now))
    await _check(connection, coupon, _problems(coupon))
    if coupon.code != code and await find(connection, organization_id, coupon.code) is not None:
        raise Invalid.field("code", "value_already_exist")
    return Coupon.of(await _queries.update_coupon(connection, **coupon.columns()))


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> Coupon:
    """Withdraw a coupon, also from those who have it: no invoice uses it from now on. NotFound."""
    coupon = await get(connection, organization_id, code)
    place = {"organization_id": organization_id, "id": coupon.id, "now": now}
    await _queries.delete_coupon(connection, **place)
    await _queries.terminate_applied_of_coupon(connection, **place)
    return coupon


async def end_due(connection: Connection, *, now: datetime, limit: int) -> int:
    """End the coupons of all organizations whose time is over; says how many."""
    ended = _queries.end_due_coupons(connection, now=now, limit=limit)
    return len([row async for row in ended])


async def find(connection: Connection, organization_id: UUID, code: str) -> Coupon | None:
    """The coupon with this code, unless deleted."""
    row = await _queries.find_coupon(connection, organization_id=organization_id, code=code)
    return None if row is None else Coupon.of(row)


async def get(connection: Connection, organization_id: UUID, code: str) -> Coupon:
    """As `find`, or raise NotFound."""
    coupon = await find(connection, organization_id, code)
    if coupon is None:
        raise NotFound("coupon")
    return coupon


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window
) -> Page[Coupon]:
    """A page of coupons, newest first."""
    rows = _queries.list_coupons(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [Coupon.of(row) async for row in rows]
    return Page(items, await _queries.count_coupons(connection, organization_id=organization_id))


def worth_problems(worth: Worth) -> dict[str, list[str]]:
    """What is wrong with what a coupon takes off, by field."""
    problems: dict[str, list[str]] = {}
    if worth.coupon_type == "fixed_amount":
        problems |= _amount_problems(worth)
    elif worth.percentage_rate is None:
        problems["percentage_rate"] = ["value_is_mandatory"]
    elif not is_rate(worth.percentage_rate, most=PERCENTAGE_MAX) or not worth.percentage_rate:
        problems["percentage_rate"] = ["value_is_out_of_range"]
    if worth.frequency not in {"once", "recurring", "forever"}:
        problems["frequency"] = ["value_is_invalid" if worth.frequency else "value_is_mandatory"]
    elif worth.frequency == "recurring":
        if worth.frequency_duration is None:
            problems["frequency_duration"] = ["value_is_mandatory"]
        elif not 1 <= worth.frequency_duration <= _DURATION_MAX:
            problems["frequency_duration"] = ["value_is_out_of_range"]
    return problems


def _amount_problems(worth: Worth) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    if worth.amount_cents is None:
        problems["amount_cents"] = ["value_is_mandatory"]
    elif not 1 <= worth.amount_cents <= _AMOUNT_CENTS_MAX:
        problems["amount_cents"] = ["value_is_out_of_range"]
    if worth.amount_currency is None:
        problems["amount_currency"] = ["value_is_mandatory"]
    elif worth.amount_currency not in CURRENCIES:
        problems["amount_currency"] = ["value_is_invalid"]
    return problems


def normal_worth(worth: Worth) -> Worth:
    """The worth without what means nothing to its kind."""
    is_amount = worth.coupon_type == "fixed_amount"
    return structs.replace(
        worth,
        amount_cents=worth.amount_cents if is_amount else None,
        amount_currency=worth.amount_currency if is_amount else None,
        percentage_rate=None if is_amount else worth.percentage_rate,
        frequency_duration=worth.frequency_duration if worth.frequency == "recurring" else None,
    )


def _normal(coupon: Coupon) -> Coupon:
    return structs.replace(
        coupon,
        **structs.asdict(normal_worth(coupon.worth)),
        expiration_at=coupon.expiration_at if coupon.expiration == "time_limit" else None,
        plan_codes=distinct(coupon.plan_codes),
        billable_metric_codes=distinct(coupon.billable_metric_codes),
    )


def _problems(coupon: Coupon) -> dict[str, list[str]]:
    problems = {
        name: ["value_is_mandatory"]
        for name in ("name", "code", "coupon_type")
        if not getattr(coupon, name).strip()
    }
    if coupon.coupon_type and coupon.coupon_type not in {"fixed_amount", "percentage"}:
        problems["coupon_type"] = ["value_is_invalid"]
    elif coupon.coupon_type:
        problems |= worth_problems(coupon.worth)
    if coupon.expiration not in {"no_expiration", "time_limit"}:
        problems["expiration"] = ["value_is_invalid"]
    elif coupon.expiration == "time_limit" and coupon.expiration_at is None:
        problems["expiration_at"] = ["value_is_mandatory"]
    if coupon.plan_codes and coupon.billable_metric_codes:
        problems["applies_to"] = ["only_one_limitation_type_per_coupon_allowed"]
    return problems


async def _check(connection: Connection, coupon: Coupon, problems: dict[str, list[str]]) -> None:
    """Raise Invalid with all that is wrong, plans and metrics that there are not included."""
    for kind, codes in (
        ("plan", coupon.plan_codes),
        ("billable_metric", coupon.billable_metric_codes),
    ):
        if codes and not await _are_known(connection, coupon.organization_id, kind, codes):
            problems[f"{kind}_codes"] = [f"{kind}_not_found"]
    if problems:
        raise Invalid(problems)


async def _are_known(
    connection: Connection, organization_id: UUID, kind: str, codes: Sequence[str]
) -> bool:
    query = _queries.count_plans if kind == "plan" else _queries.count_metrics
    found: int = await query(connection, organization_id=organization_id, codes=list(codes))
    return found == len(codes)
