"""The numbers of invoices: without a gap, by customer or by billing entity.

    PREFIX-001-002        the second invoice of the first customer
    PREFIX-202610-017     the seventeenth of the billing entity, issued in October 2026

Every final invoice counts in both series, whichever its number is made of, so a billing entity may
change from one to the other. Source: Lago, invoice numbering. A month has six digits, and no
customer's number has: so none of the one series is one of the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from msgspec import structs

from invoicing import number_series
from invoicing.billing_entities import BillingEntity
from invoicing.invoices import Invoice
from invoicing.records import Connection, load_queries

__all__ = ["number_all"]

_queries: Final[Any] = load_queries(__file__)

_MONTH_DIGITS: Final = 6
_CUSTOMERS: Final = "customers"


async def number_all(
    connection: Connection,
    invoices: Sequence[Invoice],
    entities: Mapping[tuple[UUID, UUID], BillingEntity],
) -> list[Invoice]:
    """Give invoices their numbers, in this order; `entities` are theirs, by (organization, id).

    The series are held until the commit.
    """
    customers = await _customer_numbers(connection, invoices)
    by_customer = await number_series.take_all(
        connection, [(one.organization_id, f"invoices:{one.customer_id}") for one in invoices]
    )
    by_entity = await number_series.take_all(
        connection, [(one.organization_id, f"invoices:{one.billing_entity_id}") for one in invoices]
    )
    numbered: list[Invoice] = []
    for invoice, own, all_ in zip(invoices, by_customer, by_entity, strict=True):
        entity = entities[invoice.organization_id, invoice.billing_entity_id]
        if entity.document_numbering == "per_customer":
            customer = customers[invoice.organization_id, invoice.customer_id]
            number = f"{entity.document_number_prefix}-{_shown(customer)}-{own:03d}"
            sequential_id = own
        else:
            number = f"{entity.document_number_prefix}-{invoice.issuing_date:%Y%m}-{all_:03d}"
            sequential_id = all_
        numbered.append(structs.replace(invoice, number=number, sequential_id=sequential_id))
    return numbered


def _shown(customer: int) -> str:
    """A customer's number on its invoices: `001`, `12345`, `0202610`, `1234567`."""
    number = f"{customer:03d}"
    return f"0{number}" if len(number) == _MONTH_DIGITS else number


async def _customer_numbers(
    connection: Connection, invoices: Sequence[Invoice]
) -> dict[tuple[UUID, UUID], int]:
    """The numbers of customers; those that have none yet get the next ones, in the given order."""
    places = list(dict.fromkeys((one.organization_id, one.customer_id) for one in invoices))
    rows = _queries.find_numbers(
        connection,
        organization_ids=[organization for organization, _ in places],
        ids=[customer for _, customer in places],
    )
    known = {(row["organization_id"], row["id"]): row["sequential_id"] async for row in rows}
    new = [place for place in places if known[place] is None]
    taken = await number_series.take_all(
        connection, [(organization, _CUSTOMERS) for organization, _ in new]
    )
    if new:
        await _queries.number_customers(
            connection,
            organization_ids=[organization for organization, _ in new],
            ids=[customer for _, customer in new],
            numbers=taken,
        )
    return {**known, **dict(zip(new, taken, strict=True))}
