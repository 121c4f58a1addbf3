"""Drafts and failed invoices that are computed anew, and voided ones that are billed again.

read    what the invoice's moments come to now, in one snapshot and without locks
ask     a tax service, where there is one
write   in one transaction: the invoice and its subscriptions are held, and nothing is stored
        where another invoice has billed something of them since they were read
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct, structs

from invoicing import (
    billed_periods,
    billing_schedule,
    fees,
    invoice_credits,
    invoices,
    progressive_billing,
)
from invoicing.billed_again import (
    made_again,
    read_standing,
    with_ids_of_its_own,
    without_standing,
)
from invoicing.billed_periods import BilledPeriod
from invoicing.billing_schedule import DueMoment
from invoicing.deductions import deductions_of, take
from invoicing.errors import NotAllowed
from invoicing.fee_changes import adjusted
from invoicing.invoice_building import BuiltInvoice, build_invoice
from invoicing.invoice_totals import check_bookable, total_up
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.tax_services import TaxService
from ledger.ids import new_uuid
from wallet_service import request_keys
from wallet_service.billing import Billing
from wallet_service.billing_rounds import Run
from wallet_service.database import Database
from wallet_service.errors import Unavailable
from wallet_service.invoice_sources import as_stored, moments_of
from wallet_service.invoice_writing import Raced, fix, lowered_of, total_all
from wallet_service.request_keys import RequestKey
from wallet_service.tax_services import ask, note_failed

__all__ = ["InvoiceRecomputer"]

_TRIES_MAX: Final = 3
_CHANGING: Final = "the invoice is being changed by others"


class _Read(Struct, frozen=True):
    """What an invoice comes to, as of a snapshot."""

    built: BuiltInvoice
    invoice: Invoice
    """As it was before."""
    moments: Sequence[tuple[BilledPeriod, DueMoment]] = ()
    subscription_ids: Sequence[UUID] = ()
    others: str = ""
    """What other invoices had billed of them."""


class InvoiceRecomputer:
    """Computes invoices anew. What it fixes is settled by whoever asked for it."""

    def __init__(
        self, *, database: Database, billing: Billing, tax_service: TaxService | None = None
    ) -> None:
        self._database = database
        self._billing = billing
        self._tax_service = tax_service

    async def recompute(
        self,
        organization_id: UUID,
        invoice_id: UUID,
        *,
        final: bool,
        now: datetime,
        status: str = "draft",
    ) -> Invoice:
        """Read what a draft is for once more, and store what it comes to now.

        Raises NotFound, NotAllowed (`invalid_status`) or Unavailable.
        """
        for _ in range(_TRIES_MAX):
            run = Run(until=now, now=now, organization_id=organization_id)
            async with self._database.tenant(organization_id, as_snapshot=True) as connection:
                before = await _draft(connection, organization_id, invoice_id, status=status)
                read = await self._read(connection, run, before)
            (built,) = await ask(self._tax_service, [read.built])
            with suppress(Raced):
                async with self._database.tenant(organization_id) as connection:
                    locked = await _draft(
                        connection, organization_id, invoice_id, status=status, locks=True
                    )
                    if locked.revision != before.revision:
                        raise Raced
                    if final:  # a draft is nothing that others look at
                        await _hold(connection, read)
                    return await _replace(connection, run, built, locked, final=final, now=now)
        raise Unavailable(_CHANGING)

    async def regenerate(
        self,
        organization_id: UUID,
        voided_invoice_id: UUID,
        *,
        key: RequestKey | None = None,
        now: datetime,
    ) -> UUID:
        """Bill again what a voided invoice had billed: the invoice that does.

        Raises NotFound, NotAllowed (`invalid_status`, `already_regenerated`), KeyReused or
        Unavailable.
        """
        new_id = new_uuid(now)
        for _ in range(_TRIES_MAX):
            run = Run(until=now, now=now, organization_id=organization_id)
            async with self._database.tenant(organization_id, as_snapshot=True) as connection:
                voided = await invoices.get(connection, organization_id, voided_invoice_id)
                if voided.status != "voided" or voided.invoice_type != "subscription":
                    raise NotAllowed("invalid_status")
                read = await self._read_again(connection, run, voided, new_id)
            (built,) = await ask(self._tax_service, [read.built])
            with suppress(Raced):
                async with self._database.tenant(organization_id) as connection:
                    await invoices.get(connection, organization_id, voided_invoice_id, locks=True)
                    first = await request_keys.claim(
                        connection, organization_id, key, new_id, now=now
                    )
                    if first == new_id:  # else it was made by somebody else, just now
                        await _hold(connection, read)
                        await _store_again(connection, run, built, voided, now=now)
                return first
        raise Unavailable(_CHANGING)

    async def _read(self, connection: Connection, run: Run, invoice: Invoice) -> _Read:
        """What an invoice's moments come to now; of events, or made by hand, it is as it was."""
        moments = await moments_of(connection, run, invoice)
        if not moments:
            return _Read(await as_stored(connection, run, invoice), invoice)
        due = [one for _, one in moments]
        recipients, billables = await self._billing.read(connection, run, due, own_id=invoice.id)
        recipient = recipients[due[0].subscription.id]
        built = build_invoice(billables, recipient, invoice_id=invoice.id, now=run.now)
        ids = sorted({one.subscription.id for one in due})
        others = await billed_periods.billed_by_others(
            connection, invoice.organization_id, ids, own_id=invoice.id
        )
        return _Read(built, invoice, moments=moments, subscription_ids=ids, others=others)

    async def _read_again(
        self, connection: Connection, run: Run, voided: Invoice, new_id: UUID
    ) -> _Read:
        """As `_read`, for an invoice that takes the place of a voided one."""
        read = await self._read(connection, run, voided)
        standing = await read_standing(connection, read.moments)
        if not read.moments and not read.built.fees:  # its events were taken back
            raise NotAllowed("invalid_status")
        built = with_ids_of_its_own(without_standing(read.built, standing, now=run.now), new_id)
        invoice = made_again(built.invoice, voided, new_id, run.now)
        return structs.replace(read, built=structs.replace(built, invoice=invoice))


async def _hold(connection: Connection, read: _Read) -> None:
    """Keep others from billing something of an invoice's subscriptions until the commit.

    Late usage of earlier periods is billed by whichever invoice comes first. Raises Raced where
    another one has billed something of them since they were read; a run that has read them reads
    them again.
    """
    if not read.subscription_ids:
        return
    organization_id = read.invoice.organization_id
    await billing_schedule.hold(
        connection, [(organization_id, one) for one in read.subscription_ids]
    )
    others = await billed_periods.billed_by_others(
        connection, organization_id, read.subscription_ids, own_id=read.invoice.id
    )
    if others != read.others:
        raise Raced


async def _store_again(
    connection: Connection, run: Run, built: BuiltInvoice, voided: Invoice, *, now: datetime
) -> None:
    """Store the invoice that takes the place of a voided one, with the moments that it had."""
    organization_id = voided.organization_id
    moments = await billed_periods.of_invoices(connection, organization_id, [voided.id])
    if not moments[voided.id]:
        raise NotAllowed("already_regenerated")
    await total_all(connection, run.taxes, [built], locks=True, now=now)
    new = built.invoice
    await billed_periods.move_to_invoice(
        connection, organization_id, from_id=voided.id, to_id=new.id
    )
    if new.sealed_xact_id is not None:
        await billed_periods.reseal(connection, organization_id, new.id, new.sealed_xact_id)


async def _draft(
    connection: Connection,
    organization_id: UUID,
    invoice_id: UUID,
    *,
    status: str,
    locks: bool = False,
) -> Invoice:
    """A draft that is computed from subscriptions, or what has failed. NotFound or NotAllowed."""
    invoice = await invoices.get(
        connection, organization_id, invoice_id, locks=locks, statuses=invoices.BEGUN
    )
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
) -> Invoice:
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
        raise Raced
    await invoices.save(connection, totalled.invoice)
    await fees.insert_all(connection, totalled.fees)
    await invoice_credits.insert_all(connection, totalled.credits)
    await note_failed(connection, [totalled.invoice], now=now)
    if totalled.invoice.status == "finalizing":
        await take(connection, totalled.credits, now=now)
    if invoice.sealed_xact_id is not None:
        await billed_periods.reseal(connection, *place, invoice.sealed_xact_id)
    return totalled.invoice
