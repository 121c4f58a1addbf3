"""Progressive billing: usage is billed when a threshold is crossed, and never twice."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import structs

from invoicing.progressive_billing import crossed
from invoicing.usage_thresholds import ThresholdChanges, UsageThreshold
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.invoice_finishing import worker_transactions

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def threshold(amount: int, *, recurring: bool = False) -> UsageThreshold:
    return UsageThreshold(
        id=UUID(int=amount),
        amount_cents=amount,
        recurring=recurring,
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("before", "total", "amounts"),
    [
        (0, 99, []),
        (0, 100, [100]),
        (100, 199, []),
        (50, 249, [100, 200]),
        (200, 249, []),
        (200, 250, [50]),
        (250, 299, []),
        (260, 410, [50]),
        (0, 260, [100, 200, 50]),
    ],
)
def test_thresholds_are_crossed_once_and_the_recurring_one_again_and_again(before, total, amounts):
    known = [threshold(100), threshold(200), threshold(50, recurring=True)]
    assert [one.amount_cents for one in crossed(known, before, total)] == amounts


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan(
            "pro",
            standard("tokens", "0.0002"),
            amount_cents=3100,
            wanted_thresholds=[ThresholdChanges(amount_cents=20_000)],
        )
        yield months


async def look(months: Months, at: datetime) -> int:
    opened = worker_transactions(months.services.database)
    return await months.services.invoices.progressive.run(opened, now=at)


@pytest.mark.parametrize("funding", [0, 250, 1000])
async def test_the_period_is_billed_less_what_was_billed_when_a_threshold_was_crossed(
    months, funding
):
    """Source: Lago, progressive_billing_spec: 200.00, then 431.00 - 200.00 = 231.00."""
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "900000", at=day(3, 10))
    assert await look(months, day(3, 11)) == 0
    await months.use("acme-1", "tokens", "100000", at=day(3, 11))
    assert await look(months, day(3, 12)) == 1
    assert await look(months, day(3, 12, 1)) == 0
    await months.use("acme-1", "tokens", "1000000", at=day(3, 20))
    assert await look(months, day(3, 21)) == 0
    await months.bill(day(4, 1))
    interim = (await months.invoices(invoice_type="progressive_billing"))[0]
    final = (await months.invoices(invoice_type="subscription"))[0]
    assert interim.fees_amount_cents == 20_000
    assert final.fees_amount_cents == 43_100
    assert final.progressive_billing_credit_amount_cents == 20_000
    assert final.sub_total_including_taxes_amount_cents == 23_100
    due = interim.total_amount_cents + final.total_amount_cents
    assert due == max(43_100 - funding * 100, 0)
    await months.check()
    assert await look(months, day(4, 2)) == 0
    await months.bill(day(5, 1))  # what was billed ahead did not come late
    last = (await months.invoices(invoice_type="subscription"))[-1]
    assert last.fees_amount_cents == 3100
