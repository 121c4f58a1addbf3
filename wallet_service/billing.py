"""The billing run: every moment at which a subscription is to be billed becomes an invoice, once.

A run goes through what is due in portions, each of them three steps:

    read    what was used and what it costs, in one snapshot and without locks
    write   in one transaction: moments claimed, invoices with their lines, what lowers them taken
    finish  settled by the book, and concluded with their numbers (`invoice_finishing`)

It may stop anywhere. What has no row in `billed_periods` is still due; what is `finalizing` is
finished by the next run. So a second run finds nothing to do.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from msgspec import structs

from invoicing import billing_runs
from invoicing.advance_fees import BilledInAdvance, billed_in_advance
from invoicing.billing_facts import (
    Recipient,
    billed_usage_before,
    load_customers,
)
from invoicing.billing_reading import read_usage
from invoicing.billing_schedule import DueMoment
from invoicing.errors import InvoicingError
from invoicing.invoice_building import Billable, BuiltInvoice, build_invoice, group_of
from invoicing.invoice_totals import TotalledInvoice
from invoicing.invoices import Invoice
from invoicing.late_usage import read_late
from invoicing.progressive_billing import BilledAhead, billed_ahead
from invoicing.records import Connection
from invoicing.tax_services import TaxService, not_asked
from invoicing.usage_versions import Versions
from ledger.errors import InvalidAmount
from rating.exact import ZERO
from wallet_service.billing_rounds import (
    Progress,
    Run,
    Scope,
    by_customer,
    customer_of,
    progress_of,
)
from wallet_service.database import Database
from wallet_service.errors import WalletError
from wallet_service.invoice_finishing import InvoiceFinisher, Opening
from wallet_service.invoice_writing import Raced, total_all, write
from wallet_service.tax_services import ask
from wallet_service.unused_credits import UnusedCredits

__all__ = ["Billing", "recipients_of"]

log: Final = structlog.get_logger("wallet_service.billing")

_AT_ONCE: Final = 2
"""Portions under way: while the store works for one, the other is computed."""


class Billing:
    """Bills what is due. Made once a process; keeps the prices of plans at hand."""

    def __init__(
        self,
        *,
        database: Database,
        finisher: InvoiceFinisher,
        unused: UnusedCredits,
        tax_service: TaxService | None = None,
    ) -> None:
        self._database = database
        self._finisher = finisher
        self._unused = unused
        self._tax_service = tax_service
        self._versions = Versions()

    async def run(
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
        """Bill all that is due by `until`; what was billed before is not looked at again.

        `opened` opens the transactions that write. `check` is called between portions and may
        raise: what is done stays done.
        """
        run = Run(until=until, now=now, organization_id=organization_id, scope=scope)
        turn = asyncio.Lock()

        async def work() -> None:
            while True:
                check()
                async with turn:
                    due = await self._due(opened, run)
                if due is None:
                    return
                portion, waiting = await self._bill(opened, run, due)
                await self._finisher.finish(opened, waiting, now=now)
                run.progress = run.progress.plus(portion)
                await self._note(opened, run)
                on_progress(run.progress)

        workers = [asyncio.create_task(work()) for _ in range(_AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
        if run.record is not None:
            await self._note(opened, run, is_finished=True)
        return run.progress

    @property
    def asks_for_taxes(self) -> bool:
        """Whether somebody else says what invoices are taxed by."""
        return self._tax_service is not None

    async def foresee(
        self,
        *,
        until: datetime,
        now: datetime,
        organization_id: UUID | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> AsyncGenerator[TotalledInvoice]:
        """What `run` would bill, invoice by invoice; nothing is changed.

        Where a tax service says the taxes (`asks_for_taxes`), they are not known: it is not asked.
        """
        run = Run(until=until, now=now, organization_id=organization_id)
        while True:
            async with self._reading() as connection:
                due = await run.find_due(connection, corrects=False)
                if due is None:
                    return
                await self._unused.foresee(connection, due, now=now)
                built = await self.build(connection, run, due)
                unknown = not_asked() if self.asks_for_taxes else []
                billed = [structs.replace(one, tax_problems=unknown) for one in built if one.bills]
                totalled = await total_all(connection, run.taxes, billed, locks=False, now=now)
            for one in totalled:
                yield one
            run.progress = run.progress.plus(progress_of(totalled, due))
            on_progress(run.progress)

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Connection]:
        """A snapshot; what is written in it (a billing entity that is made) is forgotten."""
        async with self._database.worker.acquire() as connection:
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            try:
                yield connection
            finally:
                await transaction.rollback()

    # -- one portion

    async def _due(self, opened: Opening, run: Run) -> list[DueMoment] | None:
        async with opened() as connection:
            return await run.find_due(connection, corrects=True)

    async def _bill(
        self, opened: Opening, run: Run, due: Sequence[DueMoment]
    ) -> tuple[Progress, list[Invoice]]:
        """Bill a portion; customers who get something back by themselves, in the order of time."""
        owed = {customer_of(one) for one in due if one.moment.issues_credit_for is not None}
        others = [one for one in due if customer_of(one) not in owed]
        progress, waiting = Progress(), list[Invoice]()
        if others:
            progress, waiting = await self._bill_portion(opened, run, others)
        for own in by_customer([one for one in due if customer_of(one) in owed]):
            progress = progress.plus(await self._bill_in_order(opened, run, own))
        return progress, waiting

    async def _bill_in_order(self, opened: Opening, run: Run, own: Sequence[DueMoment]) -> Progress:
        """Bill a customer moment by moment.

        What one bills in advance the next may give back, and what is given back pays the invoice
        of the same moment.
        """
        progress = Progress()
        moments = sorted(own, key=lambda one: one.moment.billing_at)
        for _, group in itertools.groupby(moments, key=lambda one: one.moment.billing_at):
            together = list(group)
            try:
                await self._unused.give(opened, together, now=run.now)
            except (InvoicingError, WalletError, asyncpg.PostgresError) as error:
                return progress.plus(await self._note_problem(opened, run, own, error))
            some, waiting = await self._bill_portion(opened, run, together)
            await self._finisher.finish(opened, waiting, now=run.now)
            progress = progress.plus(some)
            if not some.subscriptions:  # nothing after a moment that was not billed is billed
                break
        return progress

    async def _bill_portion(
        self, opened: Opening, run: Run, due: Sequence[DueMoment]
    ) -> tuple[Progress, list[Invoice]]:
        """Bill together; where one subscription cannot be, each customer by itself."""
        try:
            return await self._bill_together(opened, run, due)
        except (
            InvoicingError,
            WalletError,
            asyncpg.PostgresError,
            Raced,
            ArithmeticError,
            InvalidAmount,
        ) as error:
            customers = by_customer(due)
            if len(customers) == 1:
                return await self._note_problem(opened, run, due, error), []
        progress, waiting = Progress(), list[Invoice]()
        for own in customers:
            some, more = await self._bill_portion(opened, run, own)
            progress, waiting = progress.plus(some), waiting + more
        return progress, waiting

    async def _bill_together(
        self, opened: Opening, run: Run, due: Sequence[DueMoment]
    ) -> tuple[Progress, list[Invoice]]:
        async with opened() as connection:
            await _entities(connection, run, due)
        async with self._reading() as connection:
            built = await self.build(connection, run, due)
        built = await ask(self._tax_service, built)
        async with opened() as connection:
            totalled = await write(connection, run.taxes, due, built, now=run.now)
        waiting = [one.invoice for one in totalled if one.invoice.status == "finalizing"]
        return progress_of(totalled, due), waiting

    async def build(
        self, connection: Connection, run: Run, due: Sequence[DueMoment]
    ) -> list[BuiltInvoice]:
        """The invoices of a portion, as of one snapshot, in the order of their moments."""
        recipients, billables = await self.read(connection, run, due)
        groups: dict[tuple[str, ...], list[Billable]] = {}
        for one in billables:
            place = group_of(one.subscription, one.moment, one.plan.amount_currency)
            groups.setdefault(place, []).append(one)
        built = [
            build_invoice(group, recipients[group[0].subscription.id], now=run.now)
            for group in groups.values()
        ]
        return sorted(built, key=lambda one: one.invoice.id)

    @asynccontextmanager
    async def read_snapshot(
        self, opened: Opening, run: Run, due: Sequence[DueMoment]
    ) -> AsyncGenerator[tuple[Connection, dict[UUID, Recipient], list[Billable]]]:
        """As `read`, with the snapshot to read more from; nothing is locked."""
        async with opened() as connection:
            await _entities(connection, run, due)
        async with self._reading() as connection:
            yield connection, *await self.read(connection, run, due)

    async def read(
        self,
        connection: Connection,
        run: Run,
        due: Sequence[DueMoment],
        *,
        own_id: UUID | None = None,
    ) -> tuple[dict[UUID, Recipient], list[Billable]]:
        """All that it takes to bill these moments, and who is billed, by subscription.

        `own_id` is the invoice that bills them already, where it is computed anew.
        """
        sealed: int = await billing_runs.snapshot(connection)
        recipients = await recipients_of(connection, run, due)
        plans = await run.catalogue.plans(
            connection,
            {(one.subscription.organization_id, one.subscription.plan_id) for one in due},
        )
        ahead = await billed_ahead(connection, due)
        in_advance = await billed_in_advance(connection, due)
        since = {position: one.sealed_xact_id for position, one in ahead.items()}
        facts = await read_usage(connection, self._versions, run.catalogue, due, since=since)
        late = await read_late(connection, self._versions, run.catalogue, due)
        billables: list[Billable] = []
        for position, (one, fact) in enumerate(zip(due, facts, strict=True)):
            place = one.subscription.organization_id, one.subscription.plan_id
            terms = await run.catalogue.terms(connection, *place, moment=one.moment)
            billables.append(
                Billable(
                    subscription=one.subscription,
                    moment=one.moment,
                    plan=plans[place],
                    usage=fact.usage,
                    metric_names=fact.metric_names,
                    followed_by=fact.followed_by,
                    paid=fact.paid,
                    ahead=ahead.get(position, BilledAhead()),
                    in_advance=in_advance.get(position, BilledInAdvance()),
                    late=late.get(position, ()),
                    terms=terms,
                    billed_before=(
                        await _billed_before(connection, one, own_id) if terms else ZERO
                    ),
                    sealed_xact_id=sealed,
                )
            )
        return recipients, billables

    async def _note(self, opened: Opening, run: Run, *, is_finished: bool = False) -> None:
        """Where an operator sees how far the run is."""
        at = datetime.now(UTC)
        record = run.record or billing_runs.new_run(
            until=run.until, organization_id=run.organization_id, now=at
        )
        run.record = structs.replace(
            record,
            updated_at=at,
            finished_at=at if is_finished else None,
            subscriptions=run.progress.subscriptions,
            invoices=run.progress.invoices,
            fees=run.progress.fees,
            problems=run.progress.problems,
        )
        async with opened() as connection:
            await billing_runs.note(connection, run.record)

    async def _note_problem(
        self, opened: Opening, run: Run, due: Sequence[DueMoment], error: Exception
    ) -> Progress:
        """One customer's subscriptions cannot be billed now: say why, and go on with the others."""
        if isinstance(error, Raced):
            return Progress()  # looked at again by the next run
        problem = getattr(error, "code", type(error).__name__)
        log.error(
            "subscription_not_billed",
            subscription=str(due[0].subscription.id),
            reason=problem,
            exc_info=error,
        )
        async with opened() as connection:
            await billing_runs.note_problems(connection, due, str(problem), now=run.now)
        return Progress(problems=len({one.subscription.id for one in due}))


async def _entities(connection: Connection, run: Run, due: Sequence[DueMoment]) -> None:
    """Make the billing entities that organizations use for the first time."""
    await recipients_of(connection, run, due)


async def recipients_of(
    connection: Connection, run: Run, due: Sequence[DueMoment]
) -> dict[UUID, Recipient]:
    """Who is billed for each subscription, and in whose name."""
    customers = await load_customers(
        connection,
        {(one.subscription.organization_id, one.subscription.customer_id) for one in due},
    )
    found: dict[UUID, Recipient] = {}
    for one in due:
        subscription = one.subscription
        customer = customers[subscription.organization_id, subscription.customer_id]
        entity = await run.catalogue.entity_of(
            connection, customer, own=subscription.billing_entity_code, now=run.now
        )
        found[subscription.id] = Recipient(
            customer=customer,
            entity=entity,
            sections=await run.catalogue.sections(connection, customer, entity),
        )
    return found


async def _billed_before(connection: Connection, one: DueMoment, own_id: UUID | None) -> Decimal:
    """What other invoices billed of usage in the plan's period that ends with a moment.

    Without the usage that the moment bills itself, and what came after it.
    """
    ended, used = one.moment.ended_fee_period, one.moment.charges_period
    if ended is None or (used is not None and used.part.start <= ended.part.start):
        return ZERO
    place = one.subscription.organization_id, one.subscription.id
    before = ended.part.end if used is None else used.part.start
    return await billed_usage_before(
        connection, *place, start=ended.part.start, before=before, own_id=own_id
    )
