"""Billing in the worker: what is due is billed, drafts become final, what was begun is finished.

Everything that is written is written in transactions that look at the term first, so a leader
that was replaced while it slept writes nothing more.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import structlog

from invoicing import failed_invoices, invoices, outbox
from invoicing.errors import InvoicingError
from invoicing.invoices import Invoice
from invoicing.records import Connection
from invoicing.tax_services import is_silent
from wallet_service import fee_regrouping
from wallet_service.billing_rounds import Scope
from wallet_service.credit_invoices import CreditInvoices
from wallet_service.errors import WalletError
from wallet_service.invoice_finishing import Opening, worker_transactions
from wallet_service.invoice_payloads import payload_of
from wallet_service.jobs.leader import Term
from wallet_service.jobs.measures import BILLED
from wallet_service.services import Services

__all__ = [
    "PurchaseBiller",
    "bill_due",
    "bill_in_advance",
    "bill_late_usage",
    "bill_thresholds",
    "finalize_drafts",
    "finish_invoices",
    "mark_overdue",
    "regroup_paid_fees",
    "retry_failed",
    "void_given_up",
]

log: Final = structlog.get_logger("wallet_service.worker")

_Key: TypeAlias = tuple[datetime, UUID]

_PORTION: Final = 100
_LEFT_ALONE: Final = timedelta(seconds=10)
"""Whoever fixed an invoice is given so long to finish it."""
_GIVEN_UP: Final = timedelta(days=30)
"""What is given up is tried for so long; what cannot be voided by then is for somebody to see."""


async def bill_due(services: Services, term: Term) -> int:
    """Bill all that is due by now; says how many invoices were made."""
    return await _bill(services, term, "due")


async def bill_late_usage(services: Services, term: Term) -> int:
    """Bill what came late for subscriptions that have ended, where nothing of a customer runs."""
    return await _bill(services, term, "late")


async def _bill(services: Services, term: Term, scope: Scope) -> int:
    now = datetime.now(UTC)
    done = await services.invoices.bill(
        _opened(services, term), until=now, now=now, scope=scope, check=term.check
    )
    BILLED.labels("invoices").inc(done.invoices)
    BILLED.labels("fees").inc(done.fees)
    BILLED.labels("problems").inc(done.problems)
    return done.invoices


async def bill_in_advance(services: Services, term: Term) -> int:
    """Bill events whose charges are paid in advance; says how many fees that made."""
    opened = _opened(services, term)
    return await services.invoices.advance.run(opened, now=datetime.now(UTC), check=term.check)


async def regroup_paid_fees(services: Services, term: Term) -> int:
    """Gather paid fees on invoices when their period is over; says how many invoices that made."""
    now, opened = datetime.now(UTC), _opened(services, term)
    made = await fee_regrouping.regroup_paid_fees(opened, services.invoices.finisher, now=now)
    await fee_regrouping.pay_regrouped(opened, services.payments, now=now)
    return made


async def bill_thresholds(services: Services, term: Term) -> int:
    """Bill the usage of whoever has crossed a usage threshold; says how many invoices that made."""
    now = datetime.now(UTC)
    opened = _opened(services, term)
    return await services.invoices.progressive.run(opened, now=now, check=term.check)


class PurchaseBiller:
    """Bills the credits that customers buy."""

    def __init__(self) -> None:
        self._invoices: CreditInvoices | None = None

    async def run(self, services: Services, term: Term) -> int:
        """Make the invoices of new purchases, and follow what becomes of those that wait."""
        if self._invoices is None:
            self._invoices = CreditInvoices(finisher=services.invoices.finisher)
        return await self._invoices.run(_opened(services, term), now=datetime.now(UTC))


async def finalize_drafts(services: Services, term: Term) -> int:
    """Make final the drafts whose grace period is over where the customer lives."""
    now = datetime.now(UTC)

    async def read(connection: Connection, after: _Key | None) -> list[Invoice]:
        return await invoices.find_waiting(
            connection, statuses=["draft"], before=now, over_at=now, after=after, limit=_PORTION
        )

    async def finalize(invoice: Invoice) -> None:
        await services.invoices.finalize(invoice.organization_id, invoice.id, now=now)

    return sum([await _each(page, finalize, term) async for page in _pages(services, read)])


async def finish_invoices(services: Services, term: Term) -> int:
    """Go on with what somebody had begun, and did not finish: to finalise, or to void."""
    now = datetime.now(UTC)
    before = now - _LEFT_ALONE
    opened = _opened(services, term)

    async def fixed(connection: Connection, after: _Key | None) -> list[Invoice]:
        return await invoices.find_waiting(
            connection, statuses=["finalizing"], before=before, after=after, limit=_PORTION
        )

    async def voiding(connection: Connection, after: _Key | None) -> list[Invoice]:
        return await invoices.find_voiding(connection, before=before, after=after, limit=_PORTION)

    done = 0
    async for page in _pages(services, fixed):
        term.check()
        done += len(await services.invoices.finisher.finish(opened, page, now=now))

    async def void(invoice: Invoice) -> None:
        await services.invoices.finish_void(invoice, now=now)

    async for page in _pages(services, voiding):
        done += await _each(page, void, term)
    return done


async def void_given_up(services: Services, term: Term) -> int:
    """Take back what subscriptions were to be paid by that were given up: nobody owes it."""
    now = datetime.now(UTC)

    async def read(connection: Connection, after: _Key | None) -> list[Invoice]:
        return await invoices.find_given_up(
            connection, since=now - _GIVEN_UP, after=after, limit=_PORTION
        )

    async def void(invoice: Invoice) -> None:
        place = invoice.organization_id, invoice.id
        if invoice.status == "draft":
            await services.invoice_states.delete_draft(*place, now=now)
        else:
            await services.invoices.void(*place, now=now)

    return sum([await _each(page, void, term) async for page in _pages(services, read)])


async def retry_failed(services: Services, term: Term) -> int:
    """Ask a tax service again for the invoices that it has failed; says how many are final now.

    Where it does not answer, the others of that organization wait for the next time.
    """
    now = datetime.now(UTC)
    after: _Key | None = None
    done = 0
    unheard: set[UUID] = set()
    while True:
        async with services.database.worker.acquire() as connection:
            page = await failed_invoices.find_due(connection, now=now, after=after, limit=_PORTION)
        for one in page:
            if one.organization_id in unheard:
                continue
            term.check()
            try:
                found = await services.invoices.retry(one.organization_id, one.id, now=now)
                done += found.status != "failed"
                if found.status == "failed" and is_silent(found.error_details):
                    unheard.add(one.organization_id)
            except (InvoicingError, WalletError) as error:
                log.warning("invoice_waits", invoice=str(one.id), reason=error.code)
            except Exception:  # one that nobody has thought of is no reason to leave the others
                log.exception("invoice_waits", invoice=str(one.id))
        if len(page) < _PORTION:
            return done
        after = page[-1].key


async def mark_overdue(services: Services, term: Term) -> int:
    """Mark demands that were not paid in time, and tell the world of them."""
    now = datetime.now(UTC)
    async with _opened(services, term)() as connection:
        marked = await invoices.mark_overdue(connection, now=now, limit=_PORTION)
        found = await invoices.lock_all(connection, marked, statuses=["finalized"])
        await outbox.add_all(
            connection,
            [
                outbox.Message(
                    organization_id=invoice.organization_id,
                    webhook_type="invoice.payment_overdue",
                    object_type="invoice",
                    object_id=invoice.id,
                    payload=payload_of(invoice),
                )
                for invoice in found
            ],
            now=now,
        )
    return len(marked)


async def _pages(
    services: Services, read: Callable[[Connection, _Key | None], Awaitable[list[Invoice]]]
) -> AsyncGenerator[list[Invoice]]:
    """All that wait, page by page: what cannot be done now keeps nobody behind it waiting."""
    after: _Key | None = None
    while True:
        async with services.database.worker.acquire() as connection:
            page = await read(connection, after)
        if page:
            yield page
        if len(page) < _PORTION:
            return
        after = page[-1].waiting_key


async def _each(
    found: Sequence[Invoice], work: Callable[[Invoice], Awaitable[None]], term: Term
) -> int:
    """One after the other; what one refuses stops no other."""
    done = 0
    for invoice in found:
        term.check()
        try:
            await work(invoice)
            done += 1
        except (InvoicingError, WalletError) as error:
            log.warning("invoice_waits", invoice=str(invoice.id), reason=error.code)
        except Exception:  # one that nobody has thought of is no reason to leave the others
            log.exception("invoice_waits", invoice=str(invoice.id))
    return done


def _opened(services: Services, term: Term) -> Opening:
    return worker_transactions(services.database, term.guard)
