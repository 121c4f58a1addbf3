"""The billing run: what was used is billed once, settled to the unit, numbered without a gap."""

from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        yield months


async def test_prepaid_usage_is_billed_as_paid_and_the_wallet_has_paid_exactly_the_invoice(months):
    await months.plan("usage", standard("tokens", "0.0011"))
    await months.customer("acme", paid(10))
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    for number in range(3):
        await months.use("acme-1", "tokens", "1", at=day(3, 10 + number))
    progress = await months.bill(day(4, 1))
    assert (progress.invoices, progress.problems) == (1, 0)
    (invoice,) = await months.invoices()
    assert (invoice.status, invoice.payment_status) == ("finalized", "succeeded")
    assert invoice.fees_amount_cents == 0  # 0.33 of a cent
    (fee,) = await months.lines(invoice)
    assert (str(fee.units), fee.events_count, str(fee.precise_amount_cents)) == ("3", 3, "0.33")
    await months.check()


async def test_what_a_plan_costs_is_paid_from_the_wallet_and_the_rest_is_due(months):
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    await months.customer("acme", paid(12))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    assert (await months.bill(day(4, 1))).invoices == 1
    (invoice,) = await months.invoices()
    lines = await months.lines(invoice)
    assert [(line.fee_type, line.amount_cents) for line in lines] == [
        ("subscription", 2000),
        ("charge", 500),
    ]
    assert invoice.fees_amount_cents == 2500
    # 5.00 were debited in March, the wallet's other 7.00 pay for the plan; 13.00 are left to pay.
    assert (invoice.prepaid_credit_amount_cents, invoice.total_amount_cents) == (1200, 1300)
    assert invoice.payment_status == "pending"
    await months.check()


async def test_a_second_run_finds_nothing_to_do(months):
    await months.plan("pro", standard("tokens", "0.5"), amount_cents=2000)
    await months.customer("acme", paid(12))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    before = await months.invoices()
    assert (await months.bill(day(4, 1))).invoices == 0
    assert await months.invoices() == before
    await months.bill(day(5, 1))
    after = await months.invoices()
    assert after[:1] == before
    assert len(after) == 2
    assert [one.number.rsplit("-", 2)[1:] for one in after] == [["001", "001"], ["001", "002"]]


async def test_subscriptions_of_a_customer_are_billed_together_unless_one_wants_its_own(months):
    await months.plan("pro", amount_cents=1000)
    await months.customer("acme", has_wallet=False)
    for name in ("acme-1", "acme-2"):
        await months.subscribe("acme", "pro", name, at=day(3, 1))
    await months.subscribe("acme", "pro", "acme-3", at=day(3, 1), consolidate_invoice=False)
    assert (await months.bill(day(4, 1))).invoices == 2
    amounts = sorted(one.fees_amount_cents for one in await months.invoices())
    assert amounts == [1000, 2000]
    await months.check()
