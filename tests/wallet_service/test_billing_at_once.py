"""What came late is billed once, whoever else bills of the same subscription meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from msgspec import structs

from invoicing.invoices import Invoice
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story
from wallet_service import billing, invoice_recomputing

A_GRACE = {"invoice_grace_period": 3}
NO_GRACE = {"invoice_grace_period": 0}
LATE = day(6, 10)


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


@pytest.fixture
def meanwhile(monkeypatch) -> Callable[..., None]:
    """Let something happen once, when a module has read what it bills and has not written it."""

    def arrange(module, work: Callable[[], Awaitable[object]]) -> None:
        ask, waiting = module.ask, [work]

        async def asked(service, built):
            if waiting:
                await waiting.pop()()
            return await ask(service, built)

        monkeypatch.setattr(module, "ask", asked)

    return arrange


async def march_is_final_and_april_a_draft(months: Months) -> Invoice:
    """Then three dollars come late for March; May is yet to be billed."""
    await months.metric("tokens")
    await months.plan("pay", standard("tokens", "1"))
    terms = {"has_wallet": False, "currency": "USD"}
    await months.customer("acme", **terms, billing_configuration=NO_GRACE)
    await months.subscribe("acme", "pay", "sub", at=day(3, 1))
    for month in (3, 4, 5):
        await months.use("sub", "tokens", str(month * 10), at=day(month, 2))
    await months.bill(day(4, 1))
    await months.customer("acme", **terms, billing_configuration=A_GRACE)
    await months.bill(day(5, 1))
    await months.customer("acme", **terms, billing_configuration=NO_GRACE)
    await months.use("sub", "tokens", "3", at=day(3, 3))
    (april,) = await months.invoices(status="draft")
    return april


async def billed(months: Months) -> list[list[int]]:
    found = [
        sorted(line.amount_cents for line in await months.lines(one))
        for one in await months.invoices(status="finalized")
    ]
    return sorted(found)


async def test_a_draft_bills_nothing_late_that_the_next_period_has_billed(months, meanwhile):
    april = await march_is_final_and_april_a_draft(months)
    meanwhile(invoice_recomputing, lambda: months.bill(day(6, 1)))
    await months.services.invoices.finalize(months.organization_id, april.id, now=LATE)
    assert await billed(months) == [[300, 5000], [3000], [4000]]
    # Nor one that is billed again, whatever was final while it was read.
    await months.use("sub", "tokens", "7", at=day(3, 4))
    await months.services.invoices.void(months.organization_id, april.id, now=LATE)
    meanwhile(invoice_recomputing, lambda: months.bill(day(7, 1)))
    await months.services.invoices.regenerate(months.organization_id, april.id, now=LATE)
    assert await billed(months) == [[300, 5000], [700], [3000], [4000]]
    await months.check()


async def test_a_run_bills_nothing_late_that_a_draft_has_billed(months, meanwhile):
    april = await march_is_final_and_april_a_draft(months)
    desk = months.services.invoices
    meanwhile(billing, lambda: desk.finalize(months.organization_id, april.id, now=LATE))
    assert (await months.bill(day(6, 1))).problems == 0
    assert await billed(months) == [[300, 4000], [3000]]
    await months.bill(day(6, 1))
    assert await billed(months) == [[300, 4000], [3000], [5000]]
    await months.check()


async def test_of_two_drafts_that_become_final_at_once_one_bills_what_came_late(months, meanwhile):
    april = await march_is_final_and_april_a_draft(months)
    terms = {"has_wallet": False, "currency": "USD"}
    await months.customer("acme", **terms, billing_configuration=A_GRACE)
    await months.bill(day(6, 1))
    (_, may) = await months.invoices(status="draft")
    desk = months.services.invoices
    meanwhile(invoice_recomputing, lambda: desk.finalize(months.organization_id, may.id, now=LATE))
    await desk.finalize(months.organization_id, april.id, now=LATE)
    assert await billed(months) == [[300, 5000], [3000], [4000]]
    await months.check()
