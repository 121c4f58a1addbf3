"""Taxes: a rate with a name, which things are taxed by where they name its code.

A tax keeps its code for good, since that is how it is referred to. One that is deleted is no longer
applied; the invoices that had it keep it.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, structs

from invoicing import billing_entity_taxes
from invoicing.errors import Invalid, NotAllowed, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from invoicing.tax_shares import TaxTerms
from ledger.ids import new_uuid

_queries: Final = load_queries(__file__)

RATE_MAX: Final = 1000
_RATE_DECIMALS_MAX: Final = 6
_NOT_GIVEN: Final = Decimal(-1)


class Tax(Record, frozen=True, kw_only=True):
    """A tax as stored. `rate` is in percent: 20 is a fifth."""

    organization_id: UUID
    id: UUID
    code: str = ""
    name: str = ""
    description: str | None = None
    rate: Decimal = _NOT_GIVEN
    created_at: datetime
    updated_at: datetime

    @property
    def terms(self) -> TaxTerms:
        """The tax as lines are taxed by it."""
        return TaxTerms(
            code=self.code,
            name=self.name,
            rate=self.rate,
            description=self.description,
            tax_id=self.id,
        )


class TaxChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    rate: Decimal | UnsetType = UNSET
    applied_to_organization: bool | UnsetType = UNSET
    """Whether the default billing entity's customers are taxed by it unless they name others."""


async def create(
    connection: Connection, organization_id: UUID, changes: TaxChanges, *, now: datetime
) -> Tax:
    """Add a tax; raises Invalid."""
    blank = Tax(organization_id=organization_id, id=new_uuid(now), created_at=now, updated_at=now)
    tax = apply(changes, blank)
    _check(tax)
    row = await _queries.insert_tax(connection, **tax.columns())
    if row is None:
        raise Invalid.field("code", "value_already_exist")
    await _apply_to_default(connection, tax, changes, now=now)
    return Tax.of(row)


async def update(
    connection: Connection, organization_id: UUID, code: str, changes: TaxChanges, *, now: datetime
) -> Tax:
    """Change a tax, for invoices that are not final yet too. Raises NotFound or Invalid."""
    before = await get(connection, organization_id, code)
    tax = structs.replace(apply(changes, before), updated_at=now)
    _check(tax)
    if tax.code != before.code:
        raise Invalid.field("code", "value_is_invalid", "a tax keeps its code")
    stored = Tax.of(await _queries.update_tax(connection, **tax.columns()))
    await _apply_to_default(connection, tax, changes, now=now)
    return stored


async def delete(connection: Connection, organization_id: UUID, code: str, *, now: datetime) -> Tax:
    """Withdraw a tax: nothing new is taxed by it. Raises NotFound or NotAllowed.

    Those that a billing entity's EU VAT needs cannot go while it is managed.
    """
    tax = await get(connection, organization_id, code)
    if code.startswith(
        billing_entity_taxes.EU_TAX_PREFIX
    ) and await billing_entity_taxes.any_managed(connection, organization_id):
        raise NotAllowed("tax_is_managed")
    await _queries.delete_tax(connection, organization_id=organization_id, id=tax.id, now=now)
    await billing_entity_taxes.untax(connection, organization_id, code, now=now)
    return tax


async def add_missing(
    connection: Connection, organization_id: UUID, wanted: Iterable[TaxTerms], *, now: datetime
) -> None:
    """Add those taxes whose codes there are not yet."""
    for terms in wanted:
        tax = Tax(
            organization_id=organization_id,
            id=new_uuid(now),
            code=terms.code,
            name=terms.name,
            description=terms.description,
            rate=terms.rate,
            created_at=now,
            updated_at=now,
        )
        await _queries.insert_tax(connection, **tax.columns())


async def get(connection: Connection, organization_id: UUID, code: str) -> Tax:
    """The tax with this code; raises NotFound."""
    found = await of_codes(connection, organization_id, [code])
    if code not in found:
        raise NotFound("tax")
    return found[code]


async def of_codes(
    connection: Connection, organization_id: UUID, codes: Iterable[str]
) -> dict[str, Tax]:
    """The taxes with these codes; those that are deleted, or never were, are left out."""
    wanted = sorted(set(codes))
    if not wanted:
        return {}
    rows = _queries.find_taxes(connection, organization_id=organization_id, codes=wanted)
    return {row["code"]: Tax.of(row) async for row in rows}


async def find_all(connection: Connection, organization_id: UUID, *, window: Window) -> Page[Tax]:
    """A page of taxes, newest first."""
    rows = _queries.list_taxes(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [Tax.of(row) async for row in rows]
    return Page(items, await _queries.count_taxes(connection, organization_id=organization_id))


async def _apply_to_default(
    connection: Connection, tax: Tax, changes: TaxChanges, *, now: datetime
) -> None:
    """Let the default billing entity have the tax, or not, where the change says so."""
    if isinstance(changes.applied_to_organization, bool):
        await billing_entity_taxes.tax_default(
            connection,
            tax.organization_id,
            tax.code,
            applies=changes.applied_to_organization,
            now=now,
        )


def _check(tax: Tax) -> None:
    """Raise Invalid with all that is wrong."""
    problems: dict[str, list[str]] = {}
    for name in ("name", "code"):
        if not getattr(tax, name).strip():
            problems[name] = ["value_is_mandatory"]
    if tax.rate is _NOT_GIVEN:
        problems["rate"] = ["value_is_mandatory"]
    elif not is_rate(tax.rate, most=RATE_MAX):
        problems["rate"] = ["value_is_out_of_range"]
    if problems:
        raise Invalid(problems)


def is_rate(rate: Decimal, *, most: int) -> bool:
    """Whether a number is a rate in percent, with at most six decimals."""
    if not rate.is_finite() or not 0 <= rate <= most:
        return False
    exponent = rate.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -_RATE_DECIMALS_MAX
