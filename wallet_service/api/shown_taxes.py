"""The taxes that resources show, found by the codes that the resources name."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from invoicing import billing_entity_taxes, taxes
from invoicing.plans import Plan
from invoicing.records import Connection
from invoicing.taxes import Tax
from wallet_service.api.schemas.taxes import ShownTaxes, TaxBody


async def show(
    connection: Connection, organization_id: UUID, found: Sequence[Tax]
) -> list[TaxBody]:
    """Show taxes with the billing entities that have them."""
    entities = await billing_entity_taxes.taxed_by(
        connection, organization_id, [tax.code for tax in found]
    )
    return [TaxBody.of(tax, entities[tax.code]) for tax in found]


async def find(connection: Connection, organization_id: UUID, codes: Iterable[str]) -> ShownTaxes:
    """The taxes of these codes, to be shown with what names them."""
    found = await taxes.of_codes(connection, organization_id, codes)
    if not found:
        return ShownTaxes({})
    bodies = await show(connection, organization_id, list(found.values()))
    return ShownTaxes({body.code: body for body in bodies})


async def of_plans(
    connection: Connection, organization_id: UUID, plans: Iterable[Plan]
) -> ShownTaxes:
    """The taxes of plans and of their charges."""
    codes: set[str] = set()
    for plan in plans:
        codes.update(plan.tax_codes)
        if plan.minimum_commitment is not None:
            codes.update(plan.minimum_commitment.tax_codes)
        for charge in (*plan.charges, *plan.fixed_charges):
            codes.update(charge.tax_codes)
    return await find(connection, organization_id, codes)
