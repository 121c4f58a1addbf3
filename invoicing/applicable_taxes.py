"""Which taxes a line has: those of the first of these that names any.

    add-on, charge, fixed charge or commitment ─► plan ─► customer ─► EU VAT, where it is managed
                                                                  ─► billing entity

Source of the precedence: Lago's taxes. A tax that was deleted counts as if it were not named.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from invoicing import eu_vat, taxes
from invoicing.billing_entities import BillingEntity
from invoicing.customers import Customer
from invoicing.fees import Fee
from invoicing.records import Connection, from_json, load_queries
from invoicing.tax_shares import TaxTerms
from invoicing.taxes import Tax

_queries: Final = load_queries(__file__)

_UNTAXED: Final = frozenset({"credit"})
"""What is bought for later is taxed when it is used."""


async def taxes_for(
    connection: Connection,
    organization_id: UUID,
    customer: Customer,
    entity: BillingEntity,
    fees: Sequence[Fee],
) -> Mapping[UUID, list[TaxTerms]]:
    """The taxes of each line, by its id. A line's `tax_codes` are those of what it is for."""
    plan_codes = await _of_plans(connection, organization_id, fees)
    managed = _managed_codes(customer, entity)
    known = await taxes.of_codes(
        connection,
        organization_id,
        {
            *(code for fee in fees for code in fee.tax_codes),
            *(code for codes in plan_codes.values() for code in codes),
            *customer.tax_codes,
            *managed,
            *entity.tax_codes,
        },
    )
    rest = _first(known, customer.tax_codes, managed, entity.tax_codes)
    return {
        fee.id: []
        if fee.fee_type in _UNTAXED
        else _first(known, fee.tax_codes, _plan_of(fee, plan_codes)) or rest
        for fee in fees
    }


def effective_customer_codes(customer: Customer, entity: BillingEntity) -> list[str]:
    """The codes of the taxes that a customer has: its own, or those of managed EU VAT."""
    return customer.tax_codes or _managed_codes(customer, entity)


def _managed_codes(customer: Customer, entity: BillingEntity) -> list[str]:
    """The tax that EU VAT's rules give a customer, where the entity has it managed."""
    if not entity.eu_tax_management or entity.country is None:
        return []
    code = eu_vat.tax_code_for(
        entity.country,
        country=customer.country,
        zipcode=customer.zipcode,
        vat_number=customer.tax_identification_number,
    )
    return [code]


def _first(known: Mapping[str, Tax], *candidates: Sequence[str]) -> list[TaxTerms]:
    """The taxes of the first list that names any that there are."""
    for codes in candidates:
        found = [known[code].terms for code in codes if code in known]
        if found:
            return found
    return []


def _plan_of(fee: Fee, plan_codes: Mapping[UUID, list[str]]) -> list[str]:
    return [] if fee.subscription_id is None else plan_codes.get(fee.subscription_id, [])


async def _of_plans(
    connection: Connection, organization_id: UUID, fees: Sequence[Fee]
) -> dict[UUID, list[str]]:
    """The tax codes of the plans that the lines' subscriptions are to, by subscription."""
    wanted = {fee.subscription_id for fee in fees if fee.subscription_id is not None}
    if not wanted:
        return {}
    rows = _queries.tax_codes_of_plans(
        connection, organization_id=organization_id, subscription_ids=list(wanted)
    )
    return {row["id"]: from_json(row["tax_codes"]) async for row in rows}
