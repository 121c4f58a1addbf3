"""What the world is told when a customer's VAT number was looked at: `customer.vies_check`."""

from datetime import datetime
from uuid import UUID

import msgspec

from invoicing import billing_entities, eu_vat, outbox
from invoicing.customers import Customer
from invoicing.records import Connection
from wallet_service.api.schemas.customers import CustomerBody


async def tell(
    connection: Connection,
    organization_id: UUID,
    customer: Customer,
    shown: CustomerBody,
    *,
    now: datetime,
) -> None:
    """Leave word of a number that was given, where the billing entity has EU VAT managed."""
    entity = await billing_entities.of_customer(connection, organization_id, customer, now=now)
    if not entity.eu_tax_management:
        return
    number = eu_vat.read_vat_number(customer.tax_identification_number, country=customer.country)
    check = {
        "valid": number is not None,
        "country_code": None if number is None else number.country,
        "vat_number": customer.tax_identification_number if number is None else number.number,
    }
    await outbox.add(
        connection,
        organization_id,
        "customer.vies_check",
        object_type="customer",
        object_id=customer.id,
        payload={**msgspec.to_builtins(shown), "vies_check": check},
        now=now,
    )
