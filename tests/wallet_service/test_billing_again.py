"""What is billed again is billed once: invoices made anew, drafts computed anew, lines adjusted."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import fee_changes, subscription_changes
from invoicing.fee_changes import AdjustmentChanges
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from invoicing.minimum_commitments import CommitmentChanges
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import USD, open_story, paid

GRACE = {"billing_configuration": {"invoice_grace_period": 3}}


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        yield months


async def late_in_april(months: Months, **terms) -> tuple[Invoice, Invoice]:
    """10.00 of March, and 5.00 of it that came in April."""
    await months.plan("usage", standard("tokens", "1", **terms))
    await months.customer("acme", paid(100))
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    await months.use("acme-1", "tokens", "5", at=day(3, 31))
    await months.bill(day(5, 1))
    march, april = await months.invoices()
    return march, april


async def again(months: Months, invoice: Invoice, at) -> Invoice:
    place = months.organization_id, invoice.id
    await months.services.invoices.void(*place, now=at)
    return await months.services.invoices.regenerate(*place, now=at)


async def adjust(months: Months, fee: Fee, **changes) -> None:
    async with months.services.database.tenant(months.organization_id) as connection:
        await fee_changes.adjust(
            connection,
            months.organization_id,
            fee.id,
            AdjustmentChanges(**changes),
            now=day(4, 2),
        )


async def test_what_came_late_is_not_billed_again_with_the_invoice_of_its_period(months):
    march, april = await late_in_april(months)
    assert (march.fees_amount_cents, april.fees_amount_cents) == (1000, 500)
    anew = await again(months, march, day(5, 2))
    (line,) = await months.lines(anew)
    assert (line.amount_cents, line.units, line.events_count) == (1000, 10, 1)
    assert (line.debited_minor, anew.total_amount_cents) == (10 * USD, 0)
    assert (anew.settlement or {})["debited_minor"] == 10 * USD
    await months.check()
    await months.use("acme-1", "tokens", "2", at=day(3, 30))
    await months.bill(day(6, 1))
    may = (await months.invoices())[-1]
    (late,) = await months.lines(may)
    assert (late.amount_cents, late.from_datetime) == (200, day(3, 1))
    await months.check()


async def test_what_came_late_while_nobody_billed_it_is_on_the_invoice_that_is_made_again(months):
    march, _ = await late_in_april(months)
    await months.use("acme-1", "tokens", "2", at=day(3, 30))
    anew = await again(months, march, day(5, 2))
    assert anew.fees_amount_cents == 1200
    await months.bill(day(6, 1))
    may = (await months.invoices())[-1]
    assert may.fees_amount_cents == 0
    await months.check()


async def test_a_line_that_is_made_again_names_the_line_to_which_it_is_the_true_up(months):
    await months.plan("usage", standard("tokens", "1", min_amount_cents=2000))
    await months.customer("acme", has_wallet=False)
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    await months.bill(day(4, 1))
    (march,) = await months.invoices()
    usage, missing = await months.lines(await again(months, march, day(4, 2)))
    assert (usage.amount_cents, missing.amount_cents) == (1000, 1000)
    assert missing.true_up_parent_fee_id == usage.id
    await months.check()


async def test_the_last_invoice_of_what_has_ended_is_made_again_with_what_came_late(months):
    await months.plan("usage", standard("tokens", "1"))
    await months.customer("acme", paid(100))
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10))
    async with months.services.changing_catalogue(months.organization_id) as connection:
        await subscription_changes.terminate(
            connection, months.organization_id, "acme-1", now=day(3, 20)
        )
    await months.bill(day(3, 21))
    await months.use("acme-1", "tokens", "5", at=day(3, 12))
    await months.bill(day(5, 1))
    (last,) = await months.invoices()
    assert last.fees_amount_cents == 1000
    anew = await again(months, last, day(5, 2))
    assert (anew.fees_amount_cents, anew.total_amount_cents) == (1500, 0)
    await months.check()


@pytest.mark.parametrize(
    "changes", [{"units": Decimal(60)}, {"unit_precise_amount": Decimal("0.6")}]
)
async def test_what_came_late_does_not_take_an_adjustment_back(months, changes):
    await months.plan("usage", standard("tokens", "1"))
    await months.customer("acme", has_wallet=False, **GRACE)
    await months.subscribe("acme", "usage", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "100", at=day(3, 10))
    await months.bill(day(4, 1))
    (draft,) = await months.invoices()
    (line,) = await months.lines(draft)
    await adjust(months, line, **changes)
    place = months.organization_id, draft.id
    final = await months.services.invoices.finalize(*place, now=day(4, 4))
    assert final.fees_amount_cents == 6000
    await months.use("acme-1", "tokens", "1", at=day(3, 31))
    await months.bill(day(5, 1))
    april = (await months.invoices())[-1]
    (late,) = await months.lines(april)
    assert (late.amount_cents, late.units) == (100, 1)
    assert late.original_fee_id == line.id
    await months.check()


async def yearly(months: Months, **terms) -> None:
    await months.plan(
        "yearly",
        standard("tokens", "1"),
        interval="yearly",
        bill_charges_monthly=True,
        wanted_commitment=CommitmentChanges(amount_cents=100_000),
    )
    await months.customer("acme", has_wallet=False, **terms)
    await months.subscribe("acme", "yearly", "acme-1", at=day(1, 1, year=2025))
    await months.use("acme-1", "tokens", "100", at=day(11, 10, year=2025))
    await months.bill(day(12, 1, year=2025))
    await months.use("acme-1", "tokens", "200", at=day(12, 10, year=2025))
    await months.bill(day(1, 1))


async def committed(months: Months) -> list[int]:
    lines = [line for one in await months.invoices() for line in await months.lines(one)]
    return [line.amount_cents for line in lines if line.fee_type == "commitment"]


async def test_usage_of_the_whole_year_counts_towards_what_the_year_was_committed_to(months):
    await yearly(months)
    assert await committed(months) == [70_000]


async def test_a_draft_does_not_count_its_own_usage_twice_towards_a_commitment(months):
    await yearly(months, **GRACE)
    assert await committed(months) == [70_000]
    december = (await months.invoices())[-1]
    place = months.organization_id, december.id
    await months.use("acme-1", "tokens", "5", at=day(1, 10))
    await months.services.invoices.refresh(*place, now=day(1, 2))
    assert await committed(months) == [70_000]
    await months.services.invoices.finalize(*place, now=day(1, 4))
    assert await committed(months) == [70_000]


async def test_usage_of_the_next_year_does_not_count_towards_a_commitment_of_the_last(months):
    await yearly(months)
    await months.use("acme-1", "tokens", "50", at=day(1, 10))
    await months.bill(day(2, 1))
    *_, december, _ = await months.invoices()
    anew = await again(months, december, day(2, 2))
    assert [(line.fee_type, line.amount_cents) for line in await months.lines(anew)] == [
        ("charge", 20_000),
        ("commitment", 70_000),
    ]
