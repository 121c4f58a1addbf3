"""Everything that is open while the service runs, opened in order and closed in reverse.

The only wiring: app, worker, command line and tests all use it; doors take what they need from
here.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
from msgspec import Struct

from invoicing.tax_services import TaxService
from ledger import Ledger
from ledger.engines import open_ledger
from ledger.errors import LedgerError
from wallet_service.api_keys import KeyRing
from wallet_service.authorizations import Authorizations
from wallet_service.catalogue_news import CatalogueNews
from wallet_service.committer import Committer
from wallet_service.credit_notes import CreditNotes
from wallet_service.database import Database
from wallet_service.document_files import Documents
from wallet_service.estimates import Estimates
from wallet_service.grants import Grants
from wallet_service.hot_balances import HotBalances
from wallet_service.hot_customers import HotCustomers
from wallet_service.invoice_book import InvoiceBook
from wallet_service.invoice_states import InvoiceStates
from wallet_service.invoices import Invoices
from wallet_service.ledger_reports import LedgerReports
from wallet_service.payments import Payments
from wallet_service.rate_card_cache import RateCardCache
from wallet_service.settings import Settings
from wallet_service.usage import Usage
from wallet_service.usage_reports import UsageReports
from wallet_service.wallet_transactions import WalletTransactions
from wallet_service.wallets import Wallets

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class Services(Struct, kw_only=True):
    """What the doors use. Made by `open_services`."""

    settings: Settings
    database: Database
    ledger: Ledger
    balances: HotBalances
    hot: HotCustomers
    rates: RateCardCache
    news: CatalogueNews
    committer: Committer
    authorizations: Authorizations
    usage: Usage
    estimates: Estimates
    wallets: Wallets
    wallet_transactions: WalletTransactions
    grants: Grants
    invoice_book: InvoiceBook
    invoices: Invoices
    payments: Payments
    credit_notes: CreditNotes
    invoice_states: InvoiceStates
    ledger_reports: LedgerReports
    usage_reports: UsageReports
    documents: Documents
    keys: KeyRing

    @asynccontextmanager
    async def changing_catalogue(
        self, organization_id: UUID
    ) -> "AsyncGenerator[PoolConnectionProxy[asyncpg.Record]]":
        """Open a tenant's transaction that changes prices; other workers hear once it is done."""
        async with self.database.tenant(organization_id) as connection:
            yield connection
        await self.catalogue_changed(organization_id)

    async def catalogue_changed(self, organization_id: UUID) -> None:
        """Let every worker know; those that miss it notice within `catalogue_recheck_s`."""
        self.rates.look_again(organization_id)
        await self.news.tell(organization_id)

    async def down(self) -> list[str]:
        """The names of the stores that do not answer: of postgres, redis, ledger."""
        down: list[str] = []
        try:
            await self.database.api.fetchval("select 1", timeout=2)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            down.append("postgres")
        if not self.balances.is_up:
            down.append("redis")
        if self.ledger.name != "postgres":
            try:
                await self.ledger.ready()
            except LedgerError:
                down.append("ledger")
        elif down[:1] == ["postgres"]:
            down.append("ledger")
        return down


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """Open everything; what was opened is closed, whatever happens."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(settings))
        ledger = await _open_ledger(settings, stack, database)
        balances = await HotBalances.open(
            settings.redis_url,
            engine=ledger.name,
            timeout_s=settings.hot_balances_timeout_ms / 1000,
        )
        stack.push_async_callback(balances.close)
        hot = HotCustomers(
            database=database,
            ledger=ledger,
            balances=balances,
            wait_s=settings.hot_balances_wait_ms / 1000,
        )
        stack.push_async_callback(_cancel, asyncio.create_task(hot.refresh_on_return()))
        rates = RateCardCache(database, recheck_s=settings.catalogue_recheck_s)
        news = CatalogueNews(settings.redis_url, rates.look_again)
        stack.push_async_callback(news.close)
        news.start()
        committer = _start_committer(settings, stack, database, ledger, hot)
        usage = Usage(database=database, committer=committer, rates=rates)
        wallet_transactions = WalletTransactions(
            database=database, committer=committer, rates=rates, hot=hot
        )
        book = InvoiceBook(database=database, committer=committer, rates=rates)
        payments = Payments(database=database, book=book, wallet_transactions=wallet_transactions)
        credit_notes = CreditNotes(database=database, book=book)
        yield Services(
            settings=settings,
            database=database,
            ledger=ledger,
            balances=balances,
            hot=hot,
            rates=rates,
            news=news,
            committer=committer,
            authorizations=Authorizations(
                database=database, committer=committer, rates=rates, hot=hot, settings=settings
            ),
            usage=usage,
            estimates=Estimates(database=database, usage=usage, hot=hot),
            wallets=Wallets(database=database, committer=committer, rates=rates, hot=hot),
            wallet_transactions=wallet_transactions,
            grants=Grants(database=database, committer=committer, rates=rates, hot=hot),
            invoice_book=book,
            invoices=Invoices(
                database=database,
                book=book,
                credit_notes=credit_notes,
                tax_service=_tax_service(settings, stack),
            ),
            payments=payments,
            credit_notes=credit_notes,
            invoice_states=InvoiceStates(
                database=database, payments=payments, credit_notes=credit_notes
            ),
            ledger_reports=LedgerReports(database=database, ledger=_apart(ledger, database)),
            usage_reports=UsageReports(database=database),
            documents=Documents(
                database, fonts=settings.document_fonts, link_lifetime_s=settings.document_link_s
            ),
            keys=KeyRing(database, cache_s=settings.key_cache_s),
        )


async def _open_ledger(settings: Settings, stack: AsyncExitStack, database: Database) -> Ledger:
    """The book, once it answers."""
    ledger = open_ledger(
        settings.ledger,
        pool=database.committer,
        addresses=settings.tigerbeetle_addresses,
        cluster_id=settings.tigerbeetle_cluster_id,
    )
    stack.push_async_callback(ledger.close)
    await ledger.ready()
    return ledger


def _apart(ledger: Ledger, database: Database) -> Ledger:
    """The book for long reads: with a pool of their own, out of the committer's way."""
    return open_ledger("postgres", pool=database.worker) if ledger.name == "postgres" else ledger


def _start_committer(
    settings: Settings,
    stack: AsyncExitStack,
    database: Database,
    ledger: Ledger,
    hot: HotCustomers,
) -> Committer:
    """Where everything is decided; what it has taken in is finished before the rest closes."""
    committer = Committer(
        database=database,
        ledger=ledger,
        hot=hot,
        batch_max=settings.committer_batch_max,
        queue_max=settings.committer_queue_max,
        deadline_s=settings.deadline_s,
    )
    committer.start()
    stack.push_async_callback(committer.stop)
    return committer


def _tax_service(settings: Settings, stack: AsyncExitStack) -> TaxService | None:
    """Whoever says taxes in our place, if somebody does."""
    if not settings.tax_service_url:
        return None
    from wallet_service.tax_service_http import HttpTaxService  # noqa: PLC0415 (loads httpx)

    service = HttpTaxService(settings.tax_service_url, timeout_s=settings.tax_service_timeout_s)
    stack.push_async_callback(service.close)
    return service


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
