"""Invoices that stand in the database and in the book, as if a billing run had made them."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import structs

from invoicing import billing_entities, customers, fees, invoices
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.settlements import SettleRequest
from ledger.chart import AccountCode, house_account_id
from ledger.ids import new_uuid
from tests.invoicing.billed import fee_of, invoice_of
from wallet_service.services import Services

CENT = 10**7
"""A cent in the smallest unit of the currency's asset."""

_numbers = itertools.count(1)


class Bills:
    """Writes invoices of one organization."""

    def __init__(self, services: Services, organization_id: UUID) -> None:
        self.services = services
        self.organization_id = organization_id

    async def customer(self, external_id: str) -> UUID:
        """A customer, made if there is none yet."""
        async with self.services.database.tenant(self.organization_id) as connection:
            row = await customers.upsert(
                connection,
                self.organization_id,
                external_id,
                customers.CustomerChanges(currency="EUR"),
                now=datetime.now(UTC),
            )
        return row.id

    async def invoice(
        self, customer: UUID, *lines: Fee, is_booked: bool = True, **terms: Any
    ) -> tuple[Invoice, list[Fee]]:
        """A final invoice with these lines, all of it due; None paid by wallets."""
        now = datetime.now(UTC)
        async with self.services.database.tenant(self.organization_id) as connection:
            entity = await billing_entities.ensure_default(
                connection, self.organization_id, now=now
            )
            number = f"{entity.document_number_prefix}-{customer.hex[-6:]}-{next(_numbers):03d}"
            known: dict[str, Any] = {
                "organization_id": self.organization_id,
                "id": new_uuid(now),
                "customer_id": customer,
                "billing_entity_id": entity.id,
                "number": number,
                "status": "finalized",
            }
            invoice = structs.replace(invoice_of(*lines), **known | terms)
            stored = [
                structs.replace(
                    fee,
                    organization_id=self.organization_id,
                    customer_id=customer,
                    invoice_id=invoice.id,
                )
                for fee in lines
            ]
            await invoices.insert(connection, invoice)
            await fees.insert_all(connection, stored)
        if is_booked and invoice.status == "finalized":
            await self._settle(invoice)
        return invoice, stored

    async def _settle(self, invoice: Invoice) -> None:
        settled = await self.services.invoice_book.settle(
            self.organization_id,
            invoice.customer_id,
            SettleRequest(
                invoice_id=invoice.id,
                revision=invoice.revision,
                currency=invoice.currency,
                invoice_type=invoice.invoice_type,
                fees_minor=invoice.fees_amount_cents * CENT,
                coupons_minor=invoice.coupons_amount_cents * CENT,
                taxes_minor=invoice.taxes_amount_cents * CENT,
            ),
            now=datetime.now(UTC),
        )
        assert settled.due_cents == invoice.total_amount_cents

    async def found(self, invoice: Invoice) -> Invoice:
        """What has become of an invoice."""
        async with self.services.database.tenant(self.organization_id) as connection:
            return await invoices.get(connection, self.organization_id, invoice.id)

    async def lines(self, invoice: Invoice) -> Sequence[Fee]:
        """What has become of its lines."""
        async with self.services.database.tenant(self.organization_id) as connection:
            found = await fees.of_invoices(connection, self.organization_id, [invoice.id])
        return found[invoice.id]

    async def told(self, object_id: UUID) -> list[str]:
        """What the world was told of something, in order."""
        rows = await self.services.database.worker.fetch(
            "select webhook_type from invoicing.outbox where object_id = $1 order by xact_id, id",
            object_id,
        )
        return [row["webhook_type"] for row in rows]

    async def house(self, code: AccountCode, detail: str = "") -> int:
        """Debits less credits of a house account in euros, in cents."""
        asset = await self.services.rates.asset(self.organization_id, "EUR", now=datetime.now(UTC))
        account = house_account_id(ledger=asset.ledger, code=code, detail=detail)
        balances = await self.services.ledger.balances([account])
        if account not in balances:
            return 0
        whole, rest = divmod(
            balances[account].debits_posted - balances[account].credits_posted, CENT
        )
        assert not rest, "nothing here is smaller than a cent"
        return whole


def line_of(amount_cents: int, *taxes: str, **terms: Any) -> Fee:
    """A line in euros with taxes of these rates."""
    return fee_of(amount_cents, *taxes, **terms)
