"""Add-ons: what is sold beside usage and subscriptions, at a price of its own.

A plan's fixed charges are units of add-ons. An add-on that is deleted stays in the plans that have
it already.
"""

from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import catalogue_versions, republishing, tax_codes
from invoicing.currencies import CURRENCIES
from invoicing.errors import Invalid, NotFound
from invoicing.fixed_charges import PricedAddOn
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

_AMOUNT_CENTS_MAX: Final = 2**63 - 1


class AddOn(Record, frozen=True, kw_only=True):
    """An add-on as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("tax_codes",)

    organization_id: UUID
    id: UUID
    code: str = ""
    name: str = ""
    invoice_display_name: str | None = None
    description: str | None = None
    amount_cents: int = -1
    amount_currency: str = ""
    tax_codes: list[str] = field(default_factory=list[str])
    created_at: datetime
    updated_at: datetime


class AddOnChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    amount_cents: int | UnsetType = UNSET
    amount_currency: str | UnsetType = UNSET
    tax_codes: list[str] | UnsetType = UNSET


async def create(
    connection: Connection, organization_id: UUID, changes: AddOnChanges, *, now: datetime
) -> AddOn:
    """Add an add-on; raises Invalid."""
    blank = AddOn(organization_id=organization_id, id=new_uuid(now), created_at=now, updated_at=now)
    add_on = apply(changes, blank)
    _check(add_on)
    await tax_codes.check(connection, organization_id, add_on.tax_codes)
    row = await _queries.insert_add_on(connection, **add_on.columns())
    if row is None:
        raise Invalid.field("code", "value_already_exist")
    return AddOn.of(row)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: AddOnChanges,
    *,
    now: datetime,
) -> AddOn:
    """Change an add-on; plans that have it show its new names. Raises NotFound or Invalid.

    Prices of fixed charges stay as they were agreed.
    """
    await catalogue_versions.bump(connection, organization_id)
    before = await get(connection, organization_id, code)
    wanted = structs.replace(apply(changes, before), updated_at=now)
    _check(wanted)
    if changes.tax_codes is not UNSET:
        await tax_codes.check(connection, organization_id, wanted.tax_codes)
    if wanted.code != code and await find(connection, organization_id, wanted.code):
        raise Invalid.field("code", "value_already_exist")
    add_on = AddOn.of(await _queries.update_add_on(connection, **wanted.columns()))
    priced = PricedAddOn(
        id=add_on.id,
        code=add_on.code,
        name=add_on.name,
        invoice_display_name=add_on.invoice_display_name,
        amount_cents=add_on.amount_cents,
        amount_currency=add_on.amount_currency,
    )
    await republishing.republish_with_add_on(connection, organization_id, priced, now=now)
    return add_on


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> AddOn:
    """Withdraw an add-on; plans that have it keep it. Raises NotFound."""
    add_on = await get(connection, organization_id, code)
    await _queries.delete_add_on(connection, organization_id=organization_id, id=add_on.id, now=now)
    return add_on


async def find(connection: Connection, organization_id: UUID, code: str) -> AddOn | None:
    """The add-on with this code, unless deleted."""
    row = await _queries.find_add_on(connection, organization_id=organization_id, code=code)
    return None if row is None else AddOn.of(row)


async def get(connection: Connection, organization_id: UUID, code: str) -> AddOn:
    """As `find`, or raise NotFound."""
    add_on = await find(connection, organization_id, code)
    if add_on is None:
        raise NotFound("add_on")
    return add_on


async def find_all(connection: Connection, organization_id: UUID, *, window: Window) -> Page[AddOn]:
    """A page of add-ons, newest first."""
    rows = _queries.list_add_ons(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [AddOn.of(row) async for row in rows]
    return Page(items, await _queries.count_add_ons(connection, organization_id=organization_id))


def _check(add_on: AddOn) -> None:
    """Raise Invalid with all that is wrong."""
    problems: dict[str, list[str]] = {}
    for name in ("name", "code", "amount_currency"):
        if not getattr(add_on, name).strip():
            problems[name] = ["value_is_mandatory"]
    if add_on.amount_currency and add_on.amount_currency not in CURRENCIES:
        problems["amount_currency"] = ["value_is_invalid"]
    if add_on.amount_cents == -1:
        problems["amount_cents"] = ["value_is_mandatory"]
    elif not 0 <= add_on.amount_cents <= _AMOUNT_CENTS_MAX:
        problems["amount_cents"] = ["value_is_out_of_range"]
    if problems:
        raise Invalid(problems)
