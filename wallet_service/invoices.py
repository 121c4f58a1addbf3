"""What is done with invoices: billed, computed anew, finalised, voided, made again, made by hand.

Whatever moves money is three steps: the intent is stored, the book is asked under a key that is
the invoice's own, and the outcome is stored. A step that was made is not made again, so each may
be repeated by whoever comes next (`wallet_service/jobs/billing.py`).
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog
from msgspec import structs

from invoicing import (
    billed_periods,
    credit_notes,
    crediting,
    deductions,
    fees,
    invoice_credits,
    invoices,
    outbox,
    payments,
    progressive_billing,
)
from invoicing.billed_again import (
    made_again,
    read_standing,
    with_ids_of_its_own,
    without_standing,
)
from invoicing.crediting import Terms
from invoicing.deductions import deductions_of
from invoicing.errors import InvoicingError, NotAllowed, NotFound
from invoicing.fee_changes import adjusted
from invoicing.invoice_building import BuiltInvoice, build_invoice
from invoicing.invoice_totals import TotalledInvoice, check_bookable, total_up
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.settlements import Settlement, VoidRequest
from invoicing.tax_services import TaxService
from ledger.ids import new_uuid
from wallet_service import request_keys
from wallet_service.advance_billing import AdvanceBilling
from wallet_service.billing import Billing
from wallet_service.billing_rounds import Progress, Run, Scope
from wallet_service.credit_notes import CreditNotes
from wallet_service.database import Database
from wallet_service.errors import Unavailable, WalletError
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_payloads import payload_of
from wallet_service.invoice_previews import InvoicePreviews, Preview, PreviewRequest
from wallet_service.invoice_sources import as_stored, moments_of
from wallet_service.invoice_writing import fix, lowered_of, store
from wallet_service.one_off_invoices import OneOffRequest, build_one_off
from wallet_service.progressive_billing import ProgressiveBilling
from wallet_service.request_keys import RequestKey
from wallet_service.tax_services import ask, note_failed
from wallet_service.unused_credits import UnusedCredits

__all__ = ["Invoices"]

log: Final = structlog.get_logger("wallet_service.invoices")

_TRIES_MAX: Final = 3


class Invoices:
    """Everything that changes an invoice."""

    def __init__(
        self,
        *,
        database: Database,
        book: InvoiceBook,
        credit_notes: CreditNotes,
        tax_service: TaxService | None = None,
    ) -> None:
        self._database = database
        self._tax_service = tax_service
        self._book = book
        self.finisher = InvoiceFinisher(book=book)
        self.billing = Billing(
            database=database,
            finisher=self.finisher,
            unused=UnusedCredits(credit_notes=credit_notes),
            tax_service=tax_service,
        )
        self.progressive = ProgressiveBilling(
            billing=self.billing, finisher=self.finisher, tax_service=tax_service
        )
        self.advance = AdvanceBilling(finisher=self.finisher, tax_service=tax_service)
        self._previews = InvoicePreviews(
            database=database, billing=self.billing, tax_service=tax_service
        )

    async def bill(
        self,
        opened: Opening,
        *,
        until: datetime,
        now: datetime,
        organization_id: UUID | None = None,
        scope: Scope = "all",
        on_progress: Callable[[Progress], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> Progress:
        """Bill what is paid in advance, then all that is due by `until` (`Billing.run`)."""
        await self.advance.run(opened, now=now, check=check)
        return await self.billing.run(
            opened,
            until=until,
            now=now,
            organization_id=organization_id,
            scope=scope,
            on_progress=on_progress,
            check=check,
        )

    # -- drafts

    async def refresh(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Compute a draft anew. Raises NotFound, NotAllowed (`invalid_status`), Unavailable."""
        return (await self._recompute(organization_id, invoice_id, final=False, now=now)).invoice

    async def finalize(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Make a draft final. Raises NotFound, NotAllowed (`invalid_status`) or Unavailable.

        Where the book cannot be asked now, the worker goes on with it.
        """
        found = await self._find(organization_id, invoice_id)
        if found.status != "finalizing":
            totalled = await self._recompute(organization_id, invoice_id, final=True, now=now)
            found = totalled.invoice
        return await self._finish(found, now=now)

    async def retry(self, organization_id: UUID, invoice_id: UUID, *, now: datetime) -> Invoice:
        """Go on with an invoice that could not be finished. Raises NotFound or NotAllowed.

        One that failed is computed anew, and its taxes are asked for once more.
        """
        found = await self._find(organization_id, invoice_id)
        if found.status not in {"finalizing", "failed"}:
            raise NotAllowed("invalid_status")
        if found.status == "failed":
            totalled = await self._recompute(
                organization_id, invoice_id, final=True, now=now, status="failed"
            )
            found = totalled.invoice
        return await self._finish(found, now=now)

    async def _recompute(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        *,
        final: bool,
        now: datetime,
        status: str = "draft",
    ) -> TotalledInvoice:
        """Read what the draft is for once more, and store what it comes to now."""
        for _ in range(_TRIES_MAX):
            run = Run(until=now, now=now, organization_id=organization_id)
            async with self._database.tenant(organization_id, as_snapshot=True) as connection:
                before = await _draft(connection, organization_id, invoice_id, status=status)
                built = await self._rebuild(connection, run, before)
            (built,) = await ask(self._tax_service, [built])
            async with self._database.tenant(organization_id) as connection:
                locked = await _draft(
                    connection, organization_id, invoice_id, status=status, locks=True
                )
                if locked.revision != before.revision:
                    continue
                return await _replace(connection, run, built, locked, final=final, now=now)
        raise Unavailable("the invoice is being changed by others")

    async def _rebuild(self, connection: Connection, run: Run, invoice: Invoice) -> BuiltInvoice:
        """What an invoice's moments come to now; of events, or made by hand, it is as it was."""
        due = [one for _, one in await moments_of(connection, run, invoice)]
        if not due:
            return await as_stored(connection, run, invoice)
        recipients, billables = await self.billing.read(connection, run, due, own_id=invoice.id)
        recipient = recipients[due[0].subscription.id]
        return build_invoice(billables, recipient, invoice_id=invoice.id, now=run.now)

    async def _finish(self, invoice: Invoice, *, now: datetime) -> Invoice:
        organization_id = invoice.organization_id
        if invoice.status != "finalizing":
            return invoice
        done = await self.finisher.finish(self._opening(organization_id), [invoice], now=now)
        if done:
            return done[0]
        found = await self._find(organization_id, invoice.id)
        if found.status == "finalizing":
            raise Unavailable("the invoice is fixed, and will be settled in a moment")
        return found

    def _opening(self, organization_id: UUID) -> Opening:
        @asynccontextmanager
        async def opened() -> AsyncGenerator[Connection]:
            async with self._database.tenant(organization_id) as connection:
                yield connection

        return opened

    async def _made(self, organization_id: UUID, key: RequestKey | None) -> Invoice | None:
        """What was made under a key before. Raises KeyReused."""
        if key is None:
            return None
        async with self._database.tenant(organization_id) as connection:
            made = await request_keys.find(connection, organization_id, key)
        return None if made is None else await self._find(organization_id, made)

    async def _find(self, organization_id: UUID, invoice_id: UUID) -> Invoice:
        async with self._database.tenant(organization_id) as connection:
            found = await invoices.find(connection, organization_id, invoice_id)
        if found is None:
            raise NotFound("invoice")
        return found

    # -- final ones

    async def void(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Take a final invoice back that nobody has paid, with all that the book had booked.

        Coupons and credit notes may be used again, grants get back what they paid. Under a key, a
        repeat gets the invoice that it has voided. Raises NotFound, NotAllowed (`not_voidable`),
        KeyReused or Unavailable.
        """
        async with self._database.tenant(organization_id) as connection:
            invoice = await invoices.get(connection, organization_id, invoice_id, locks=True)
            is_repeat = await request_keys.find(connection, organization_id, key) is not None
            if is_repeat and invoice.status == "voided":
                return invoice
            if not await _is_voidable(connection, invoice):
                raise NotAllowed("not_voidable")
            await request_keys.claim(connection, organization_id, key, invoice_id, now=now)
            assert invoice.settlement is not None, "final"
            voiding = {**invoice.settlement, "voiding": True}
            invoice = structs.replace(invoice, settlement=voiding, updated_at=now)
            await invoices.save(connection, invoice)
        return await self.finish_void(invoice, now=now)

    async def finish_void(self, invoice: Invoice, *, now: datetime) -> Invoice:
        """Go on with an invoice that is being voided. Raises Unavailable."""
        organization_id = invoice.organization_id
        assert invoice.settlement is not None, "final"
        request = VoidRequest(
            invoice_id=invoice.id,
            currency=invoice.currency,
            settlement=msgspec.convert(invoice.settlement, Settlement),
        )
        voided = await self._book.void(organization_id, invoice.customer_id, request, now=now)
        async with self._database.tenant(organization_id) as connection:
            locked = await invoices.get(connection, organization_id, invoice.id, locks=True)
            if locked.status == "voided":
                return locked
            kept = {**(locked.settlement or {}), "voided": msgspec.to_builtins(voided)}
            kept.pop("voiding", None)
            result = structs.replace(
                locked, status="voided", voided_at=now, settlement=kept, updated_at=now
            )
            await invoices.save(connection, result)
            if voided.credited_cents:  # no grant was left to take back what it had paid
                await crediting.create_booked(
                    connection, result, voided.credited_cents, Terms(), now=now
                )
            used = await invoice_credits.of_invoices(connection, organization_id, [invoice.id])
            await deductions.give_back(
                connection, organization_id, invoice.id, used[invoice.id], now=now
            )
            await outbox.add(
                connection,
                organization_id,
                "invoice.voided",
                object_type="invoice",
                object_id=invoice.id,
                payload=payload_of(result),
                now=now,
            )
            drafts = await progressive_billing.drafts_taking_off(connection, result)
        for draft_id in drafts:  # they are computed anew when they become final, too
            with suppress(InvoicingError, WalletError):
                await self.refresh(organization_id, draft_id, now=now)
        return result

    async def regenerate(
        self,
        organization_id: UUID,
        voided_invoice_id: UUID,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Bill again what a voided invoice had billed, as it is known now.

        Under a key, a repeat gets the first one's. Raises NotFound, NotAllowed (`invalid_status`,
        `already_regenerated`), KeyReused or Unavailable.
        """
        made = await self._made(organization_id, key)
        if made is not None:
            return await self._finish(made, now=now)
        run = Run(until=now, now=now, organization_id=organization_id)
        new_id = new_uuid(now)
        async with self._database.tenant(organization_id, as_snapshot=True) as connection:
            voided = await invoices.get(connection, organization_id, voided_invoice_id)
            if voided.status != "voided" or voided.invoice_type != "subscription":
                raise NotAllowed("invalid_status")
            built = await self._rebuild_as(connection, run, voided, new_id)
        (built,) = await ask(self._tax_service, [built])
        async with self._database.tenant(organization_id) as connection:
            await invoices.get(connection, organization_id, voided_invoice_id, locks=True)
            first = await request_keys.claim(connection, organization_id, key, new_id, now=now)
            if first != new_id:  # made by somebody else, just now
                made = await invoices.find(connection, organization_id, first)
                assert made is not None, "invoices are not deleted"
                return made
            moments = await billed_periods.of_invoices(
                connection, organization_id, [voided_invoice_id]
            )
            if not moments[voided_invoice_id]:
                raise NotAllowed("already_regenerated")
            (totalled,) = await _total([built], connection, run, now=now)
            if not await progressive_billing.keep_ahead(connection, totalled.credits):
                raise Unavailable("what the invoice takes off is being voided")
            await store(connection, [totalled], now=now)
            await billed_periods.move_to_invoice(
                connection, organization_id, from_id=voided_invoice_id, to_id=new_id
            )
            if built.invoice.sealed_xact_id is not None:
                await billed_periods.reseal(
                    connection, organization_id, new_id, built.invoice.sealed_xact_id
                )
        return await self._finish(totalled.invoice, now=now)

    async def _rebuild_as(
        self, connection: Connection, run: Run, voided: Invoice, new_id: UUID
    ) -> BuiltInvoice:
        moments = await moments_of(connection, run, voided)
        standing = await read_standing(connection, moments)
        before = await self._rebuild(connection, run, voided)
        if not moments and not before.fees:  # its events were taken back
            raise NotAllowed("invalid_status")
        built = with_ids_of_its_own(without_standing(before, standing, now=run.now), new_id)
        return structs.replace(built, invoice=made_again(built.invoice, voided, new_id, run.now))

    # -- not made, and made by hand

    async def preview(
        self, organization_id: UUID, request: PreviewRequest, *, now: datetime
    ) -> Preview:
        """The next invoice of a customer, as it would be; nothing is stored.

        Raises NotFound (customer, plan, subscription, coupon), Invalid, or Unavailable where a tax
        service does not say the taxes.
        """
        return await self._previews.preview(organization_id, request, now=now)

    async def create_one_off(
        self,
        organization_id: UUID,
        request: OneOffRequest,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> Invoice:
        """Bill add-ons by hand. Under a key, a repeat gets the invoice that there is.

        Raises NotFound (customer), Invalid, KeyReused or Unavailable.
        """
        made = await self._made(organization_id, key)
        if made is not None:
            return await self._finish(made, now=now)
        run = Run(until=now, now=now, organization_id=organization_id)
        async with self._database.tenant(organization_id) as connection:
            built = await build_one_off(
                connection, organization_id, request, run.catalogue, now=now
            )
        (built,) = await ask(self._tax_service, [built])
        invoice_id = built.invoice.id
        async with self._database.tenant(organization_id) as connection:
            first = await request_keys.claim(connection, organization_id, key, invoice_id, now=now)
            if first == invoice_id:
                (totalled,) = await _total([built], connection, run, now=now)
                await store(connection, [totalled], now=now)
        return await self._finish(await self._find(organization_id, first), now=now)


async def _draft(
    connection: Connection,
    organization_id: UUID,
    invoice_id: UUID,
    *,
    status: str,
    locks: bool = False,
) -> Invoice:
    """A draft that is computed from subscriptions, or what has failed. NotFound or NotAllowed."""
    invoice = await invoices.get(connection, organization_id, invoice_id, locks=locks)
    computed = {"subscription", "one_off"} if status == "failed" else {"subscription"}
    if invoice.status != status or invoice.invoice_type not in computed:
        raise NotAllowed("invalid_status")
    return invoice


async def _replace(
    connection: Connection,
    run: Run,
    built: BuiltInvoice,
    before: Invoice,
    *,
    final: bool,
    now: datetime,
) -> TotalledInvoice:
    """Put what a draft comes to now in the place of what it came to before."""
    place = before.organization_id, before.id
    lines = (await fees.of_invoices(connection, before.organization_id, [before.id]))[before.id]
    await fees.delete_of_invoice(connection, *place)
    await invoice_credits.delete_of_invoice(connection, *place)
    invoice = structs.replace(
        before,
        status="generating" if final else "draft",
        billing_entity_id=built.invoice.billing_entity_id,
        number=built.invoice.number,
        net_payment_term=built.invoice.net_payment_term,
        sealed_at=built.invoice.sealed_at,
        sealed_xact_id=built.invoice.sealed_xact_id,
        revision=before.revision + 1,
        updated_at=now,
    )
    built = structs.replace(built, invoice=invoice, fees=adjusted(built.fees, lines))
    (deduction,) = await deductions_of(connection, run.taxes, [lowered_of(built)], locks=final)
    totalled = fix(total_up(invoice, built.fees, deduction, now=now), built, now=now)
    check_bookable(totalled.invoice)
    if not await progressive_billing.keep_ahead(connection, totalled.credits):
        raise Unavailable("what the invoice takes off is being voided")
    await invoices.save(connection, totalled.invoice)
    await fees.insert_all(connection, totalled.fees)
    await invoice_credits.insert_all(connection, totalled.credits)
    await note_failed(connection, [totalled.invoice], now=now)
    if totalled.invoice.status == "finalizing":
        await deductions.take(connection, totalled.credits, now=now)
    if invoice.sealed_xact_id is not None:
        await billed_periods.reseal(connection, *place, invoice.sealed_xact_id)
    return totalled


async def _total(
    built: Sequence[BuiltInvoice], connection: Connection, run: Run, *, now: datetime
) -> list[TotalledInvoice]:
    """Fix the amounts of an invoice of one customer, and keep what lowers it from others."""
    lowered = [lowered_of(one) for one in built]
    found = await deductions_of(connection, run.taxes, lowered, locks=True)
    return [
        fix(total_up(one.invoice, one.fees, deduction, now=now), one, now=now)
        for one, deduction in zip(built, found, strict=True)
    ]


async def _is_voidable(connection: Connection, invoice: Invoice) -> bool:
    """Whether nobody has paid an invoice, nor credited anything of it, nor is just doing so.

    What its settlement credited is reversed with it, so a note of that keeps it as it is: voided,
    the note has taken that credit back already.
    """
    if invoice.status != "finalized" or invoice.total_paid_amount_cents:
        return False
    if await payments.free_due(connection, invoice) != invoice.total_due_amount_cents:
        return False
    if invoice.invoice_type == "progressive_billing" and await progressive_billing.is_taken_off(
        connection, invoice.organization_id, invoice.id
    ):
        return False
    notes = await credit_notes.of_invoice(connection, invoice.organization_id, invoice.id)
    return all(
        note.voided_amount_cents == note.total_amount_cents
        and (not note.books_nothing or not note.total_amount_cents)
        for note in notes
    )
