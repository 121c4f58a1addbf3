"""Which taxes a customer has, for lines that nothing else says the taxes of."""

from invoicing import eu_vat
from invoicing.billing_entities import BillingEntity
from invoicing.customers import Customer


def effective_customer_codes(customer: Customer, entity: BillingEntity) -> list[str]:
    """The codes of the taxes that a customer has: its own, or that of managed EU VAT."""
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
