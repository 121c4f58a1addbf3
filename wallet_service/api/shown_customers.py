"""Customers as they are shown: with the taxes and the texts that their invoices will have."""

from collections.abc import Sequence
from uuid import UUID

from invoicing import billing_entities, invoice_custom_sections
from invoicing.applicable_taxes import effective_customer_codes
from invoicing.billing_entities import BillingEntity
from invoicing.customers import Customer
from invoicing.records import Connection
from wallet_service import organizations
from wallet_service.api import shown_taxes
from wallet_service.api.schemas.customers import CustomerBody, CustomerSurroundings


async def show(
    connection: Connection, organization_id: UUID, customers: Sequence[Customer]
) -> list[CustomerBody]:
    """Show customers; what is found for all of them is looked up once."""
    organization = await organizations.get(connection, organization_id)
    entities = await billing_entities.by_code(connection, organization_id)
    of = {customer.id: entities.get(customer.billing_entity_code) for customer in customers}
    codes = {customer.id: _tax_codes(customer, of[customer.id]) for customer in customers}
    named = {customer.id: _section_codes(customer, of[customer.id]) for customer in customers}
    taxes = await shown_taxes.find(
        connection, organization_id, {code for each in codes.values() for code in each}
    )
    sections = await invoice_custom_sections.of_codes(
        connection, organization_id, {code for each in named.values() for code in each}
    )
    return [
        CustomerBody.of(
            customer,
            CustomerSurroundings(
                timezone=_timezone(of[customer.id]) or organization.timezone,
                tax_codes=codes[customer.id],
                taxes=taxes,
                sections=[each for each in sections if each.code in named[customer.id]],
            ),
        )
        for customer in customers
    ]


def _timezone(entity: BillingEntity | None) -> str | None:
    return None if entity is None else entity.timezone


def _tax_codes(customer: Customer, entity: BillingEntity | None) -> list[str]:
    return customer.tax_codes if entity is None else effective_customer_codes(customer, entity)


def _section_codes(customer: Customer, entity: BillingEntity | None) -> list[str]:
    return invoice_custom_sections.codes_for(
        skips=customer.skip_invoice_custom_sections,
        of_customer=customer.invoice_custom_section_codes,
        of_entity=[] if entity is None else entity.invoice_custom_section_codes,
    )
