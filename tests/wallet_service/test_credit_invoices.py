"""Credits that are bought have an invoice: a document, paid when the purchase is settled."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec import structs

from tests.wallet_service.months import Months
from tests.wallet_service.story import USD, open_story
from wallet_service.credit_invoices import CreditInvoices
from wallet_service.decision.commands import Funding, Settle
from wallet_service.invoice_finishing import worker_transactions


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


async def test_a_purchase_has_one_invoice_that_is_paid_when_the_purchase_is(months):
    story = months.story
    bought = Funding("paid", 25 * USD, Decimal(25), 50, settled=False)
    acme = await story.customer("acme", bought)
    biller = CreditInvoices(finisher=months.services.invoices.finisher)
    opened = worker_transactions(months.services.database)
    assert await biller.run(opened, now=datetime.now(UTC)) == 1
    assert await biller.run(opened, now=datetime.now(UTC)) == 0
    (invoice,) = await months.invoices()
    assert (invoice.invoice_type, invoice.status) == ("credit", "finalized")
    assert (invoice.total_amount_cents, invoice.payment_status) == (2500, "pending")
    (fee,) = await months.lines(invoice)
    assert (fee.fee_type, fee.amount_cents, fee.units) == ("credit", 2500, 25)
    await months.check()
    purchase = await story.read("select id from wallet.wallet_transactions")
    await story.commit("settle", acme, Settle(purchase, story.asset, "manual"))
    assert await biller.run(opened, now=datetime.now(UTC)) == 1
    (invoice,) = await months.invoices()
    assert (invoice.payment_status, invoice.total_due_amount_cents) == ("succeeded", 0)
    await months.check()
