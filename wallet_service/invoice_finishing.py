"""The end of finalising: the book settles what was fixed, and then the numbers are taken.

    fixed (committed) ─► settled (by the committer) ─► concluded (committed)

Every step may be repeated: a crash between two of them loses nothing, and books nothing twice.
[ADR 19](../docs/adr/0019-invoices-are-finalised-in-three-steps.md)
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import structlog
from msgspec import structs

from invoicing import billing_entities, crediting, invoices, outbox
from invoicing.billing_entities import BillingEntity
from invoicing.billing_facts import Recipient, load_customers
from invoicing.crediting import Terms
from invoicing.invoice_conclusion import concluded, request_of, with_hash
from invoicing.invoice_numbers import number_all
from invoicing.invoice_totals import minor_of
from invoicing.invoices import Invoice
from invoicing.progressive_excess import credit_excess
from invoicing.records import Connection
from invoicing.settlements import Settlement, SettleRequest
from wallet_service.database import Database
from wallet_service.errors import WalletError
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_payloads import WEBHOOKS, payload_of

__all__ = ["InvoiceFinisher", "Opening", "worker_transactions"]

log: Final = structlog.get_logger("wallet_service.billing")

Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a transaction: under the row-level security of a tenant, or the worker's with its term."""

_AT_ONCE: Final = 200
"""Settlements that are asked for together: about one batch of the committer."""


def worker_transactions(
    database: Database, guard: Callable[[Connection], "object"] | None = None
) -> Opening:
    """Transactions of the worker; `guard` is awaited first in each."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Connection]:
        async with database.worker.acquire() as connection, connection.transaction():
            if guard is not None:
                result = guard(connection)
                if asyncio.iscoroutine(result):
                    await result
            yield connection

    return opened


class InvoiceFinisher:
    """Brings invoices whose amounts are fixed to their end."""

    def __init__(self, *, book: InvoiceBook) -> None:
        self._book = book

    async def finish(
        self, opened: Opening, fixed: Sequence[Invoice], *, now: datetime
    ) -> list[Invoice]:
        """Settle and conclude invoices that are `finalizing`; those that are final by now.

        What cannot be settled now stays as it is, and is tried again by the worker.
        """
        finished: list[Invoice] = []
        for start in range(0, len(fixed), _AT_ONCE):
            portion = fixed[start : start + _AT_ONCE]
            if len(portion) > 1:
                await self._book.meet(_requests(portion))
            settlements = await asyncio.gather(*(self._settle(one, now=now) for one in portion))
            settled = {
                (invoice.organization_id, invoice.id): settlement
                for invoice, settlement in zip(portion, settlements, strict=True)
                if settlement is not None
            }
            if settled:
                finished += await self._concluded(opened, settled, now=now)
        return finished

    async def _settle(self, invoice: Invoice, *, now: datetime) -> Settlement | None:
        if invoice.invoice_type == "credit":
            return _document(invoice)  # the purchase itself books the money
        try:
            return await self._book.settle(
                invoice.organization_id, invoice.customer_id, request_of(invoice), now=now
            )
        except WalletError as error:
            log.warning("invoice_not_settled", invoice=str(invoice.id), reason=error.code)
            return None
        except Exception:  # whatever is wrong with one is no reason to leave the others
            log.exception("invoice_not_settled", invoice=str(invoice.id))
            return None

    async def _concluded(
        self, opened: Opening, settled: dict[tuple[UUID, UUID], Settlement], *, now: datetime
    ) -> list[Invoice]:
        """Conclude together; where one cannot be, each by itself, and that one is left."""
        async with opened() as connection:
            try:
                async with connection.transaction():
                    return await self._conclude(connection, settled, now=now)
            except Exception:
                ids = [str(invoice_id) for _, invoice_id in settled]
                log.exception("invoices_not_concluded", invoices=ids)
        if len(settled) == 1:
            return []
        done: list[Invoice] = []
        for place, settlement in settled.items():
            done += await self._concluded(opened, {place: settlement}, now=now)
        return done

    async def _conclude(
        self,
        connection: Connection,
        settled: dict[tuple[UUID, UUID], Settlement],
        *,
        now: datetime,
    ) -> list[Invoice]:
        """Write what the book has said, with the numbers; what another has concluded is left."""
        waiting = await invoices.lock_all(connection, sorted(settled), statuses=["finalizing"])
        recipients = await _recipients(connection, waiting)
        done = [
            concluded(
                invoice,
                settled[invoice.organization_id, invoice.id],
                skips_zero=recipients[invoice.id].skips_zero_amounts,
                now=now,
            )
            for invoice in sorted(waiting, key=lambda one: one.id)
        ]
        entities = {
            (recipient.entity.organization_id, recipient.entity.id): recipient.entity
            for recipient in recipients.values()
        }
        final = [invoice for invoice in done if invoice.status == "finalized"]
        numbered = await number_all(connection, final, entities)
        closed = [
            structs.replace(invoice, finalized_at=None)
            for invoice in done
            if invoice.status == "closed"
        ]
        hashed = [with_hash(invoice) for invoice in numbered]
        await invoices.conclude_all(connection, [*hashed, *closed])
        await crediting.finalize_drafts_of(connection, hashed, now=now)
        for invoice in (*hashed, *closed):
            # What had been paid in real time beyond the invoice, and no grant was left to take.
            credited = settled[invoice.organization_id, invoice.id].credited_minor
            if credited:
                cents = credited // minor_of(1, invoice.currency)
                await crediting.create_booked(connection, invoice, cents, Terms(), now=now)
        await credit_excess(connection, [*hashed, *closed], now=now)
        await outbox.add_all(
            connection,
            [
                outbox.Message(
                    organization_id=invoice.organization_id,
                    webhook_type=WEBHOOKS[invoice.invoice_type],
                    object_type="invoice",
                    object_id=invoice.id,
                    payload=payload_of(invoice),
                )
                for invoice in hashed
            ],
            now=now,
        )
        return [*hashed, *closed]


def _requests(portion: Sequence[Invoice]) -> list[tuple[UUID, SettleRequest]]:
    """What the book will be asked, by organization, without what cannot be read."""
    found: list[tuple[UUID, SettleRequest]] = []
    for invoice in portion:
        with suppress(Exception):  # it is told when it is settled
            found.append((invoice.organization_id, request_of(invoice)))
    return found


def _document(invoice: Invoice) -> Settlement:
    """What the settlement of an invoice is that books nothing."""
    return Settlement(
        debited_minor=0,
        overage_minor=0,
        wallets_minor=0,
        refunded_minor=0,
        credited_minor=0,
        rounding_minor=0,
        due_cents=invoice.total_amount_cents,
        prepaid_cents=0,
        prepaid_granted_cents=0,
        prepaid_purchased_cents=0,
    )


async def _recipients(connection: Connection, waiting: Sequence[Invoice]) -> dict[UUID, Recipient]:
    """Who is billed by each of these invoices, and in whose name."""
    customers = await load_customers(
        connection, {(one.organization_id, one.customer_id) for one in waiting}
    )
    entities: dict[tuple[UUID, UUID], BillingEntity] = {}
    found: dict[UUID, Recipient] = {}
    for invoice in waiting:
        place = invoice.organization_id, invoice.billing_entity_id
        if place not in entities:
            entities[place] = await billing_entities.get_by_id(connection, *place)
        customer = customers[invoice.organization_id, invoice.customer_id]
        found[invoice.id] = Recipient(customer=customer, entity=entities[place])
    return found
