"""Previews: the next invoice as it would be, and nothing of it is stored."""

from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from invoicing.customers import CustomerChanges
from invoicing.errors import Invalid, NotFound
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.invoice_previews import Preview, PreviewRequest

TABLES = ("invoices", "fees", "customers", "subscriptions", "billed_periods", "outbox")


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.plan("pro", standard("tokens", "0.5"), amount_cents=3100)
        await months.plan("early", amount_cents=3100, pay_in_advance=True)
        await months.customer("acme", paid(12))
        await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
        await months.use("acme-1", "tokens", "10", at=day(3, 10))
        yield months


async def counts(months: Months) -> list[int]:
    return [await months.story.read(f"select count(*) from invoicing.{one}") for one in TABLES]


async def preview(months: Months, **terms) -> Preview:
    before = await counts(months)
    try:
        return await months.services.invoices.preview(
            months.organization_id, PreviewRequest(**terms), now=day(3, 11)
        )
    finally:
        assert await counts(months) == before


async def test_the_next_invoice_of_a_subscription_is_shown_as_it_will_be(months):
    shown = await preview(months, external_customer_id="acme", external_subscription_ids=["acme-1"])
    invoice = shown.totalled.invoice
    assert (invoice.fees_amount_cents, invoice.total_amount_cents) == (3600, 3100)
    assert [one.external_id for one in shown.subscriptions] == ["acme-1"]
    await months.bill(day(4, 1))
    (billed,) = await months.invoices()
    assert (billed.id, billed.fees_amount_cents) == (invoice.id, invoice.fees_amount_cents)


async def test_the_end_of_a_subscription_is_shown_before_it_comes(months):
    shown = await preview(
        months,
        external_customer_id="acme",
        external_subscription_ids=["acme-1"],
        terminated_at=day(3, 20, 12),
    )
    fees = {fee.fee_type: fee.amount_cents for fee in shown.totalled.fees}
    assert fees == {"subscription": 2000, "charge": 500}


async def test_somebody_unknown_sees_what_a_plan_would_cost(months):
    shown = await preview(months, plan_code="early", customer=CustomerChanges(country="FR"))
    assert [fee.amount_cents for fee in shown.totalled.fees] == [2100]  # 21 of 31 days
    shown = await preview(
        months, plan_code="early", billing_time="anniversary", subscription_at=day(5, 7)
    )
    assert [fee.amount_cents for fee in shown.totalled.fees] == [3100]


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"external_customer_id": "acme"}, Invalid),
        ({"external_customer_id": "nobody", "plan_code": "pro"}, NotFound),
        ({"external_customer_id": "acme", "plan_code": "none"}, NotFound),
        (
            {"external_customer_id": "acme", "external_subscription_ids": ["someone's"]},
            NotFound,
        ),
        ({"external_customer_id": "acme", "plan_code": "pro", "coupon_codes": ["no"]}, NotFound),
    ],
)
async def test_what_is_not_there_is_said(months, terms, error):
    with pytest.raises(error):
        await preview(months, **terms)
