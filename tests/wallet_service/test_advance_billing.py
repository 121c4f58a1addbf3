"""Charges paid in advance: every event is billed once, as soon as it was rated."""

from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from invoicing import fees
from invoicing.charge_changes import ChargeChanges
from invoicing.errors import NotAllowed
from invoicing.fees import Fee
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.fee_regrouping import pay_regrouped, regroup_paid_fees
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.usage_requests import ReverseRequest


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        await months.metric("calls")
        yield months


async def look(months: Months, at) -> int:
    opened = worker_transactions(months.services.database)
    return await months.services.invoices.advance.run(opened, now=at)


async def alone(months: Months) -> list[Fee]:
    async with months.services.database.tenant(months.organization_id) as connection:
        rows = await connection.fetch(
            "select * from invoicing.fees where invoice_id is null order by created_at, id"
        )
    return [Fee.of(row) for row in rows]


@pytest.mark.parametrize("funding", [0, 150, 1000])
async def test_each_event_has_its_invoice_and_the_period_bills_none_again(months, funding):
    """Source: Lago, pay_in_advance_charges_spec: a package of 2 for 100.00, 3 free."""
    package = ChargeChanges(
        billable_metric_code="tokens",
        charge_model="package",
        properties={"amount": "100", "free_units": 3, "package_size": 2},
        pay_in_advance=True,
    )
    await months.plan("pro", package, standard("calls", "1"), amount_cents=3100)
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    for hour, units in enumerate(["3", "1", "2"]):
        await months.use("acme-1", "tokens", units, at=day(3, 10, hour))
        assert await look(months, day(3, 10, hour)) == 1
        assert await look(months, day(3, 10, hour)) == 0
    await months.use("acme-1", "calls", "5", at=day(3, 11))
    assert await look(months, day(3, 11)) == 0
    made = await months.invoices()
    assert [one.fees_amount_cents for one in made] == [0, 10_000, 10_000]
    assert [one.status for one in made] == ["finalized"] * 3
    assert sum(one.total_amount_cents for one in made) == max(20_000 - funding * 100, 0)
    await months.check()
    await months.bill(day(4, 1))
    period = (await months.invoices())[3]
    assert period.fees_amount_cents == 3600
    await months.bill(day(5, 1))
    assert (await months.invoices())[4].fees_amount_cents == 3100
    assert len(await months.invoices()) == 5
    due = sum(one.total_amount_cents for one in await months.invoices())
    assert due == max(20_000 + 3600 + 3100 - funding * 100, 0)
    await months.check()


@pytest.mark.parametrize("funding", [0, 1000])
async def test_fees_that_are_not_invoiced_stand_alone(months, funding):
    terms = {"pay_in_advance": True, "invoiceable": False}
    await months.plan("pro", standard("tokens", "0.5", **terms), amount_cents=3100)
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "10", at=day(3, 10), key="first")
    await months.use("acme-1", "tokens", "3", at=day(3, 10), key="second")
    assert await look(months, day(3, 11)) == 2
    made = await alone(months)
    assert sorted((one.event_transaction_id, one.amount_cents) for one in made) == [
        ("first", 500),
        ("second", 150),
    ]
    wanted = {"succeeded" if funding else "pending"}
    assert {one.payment_status for one in made} == wanted
    assert await months.invoices() == []
    await months.bill(day(4, 1))
    assert [one.fees_amount_cents for one in await months.invoices()] == [3100]
    await months.check()


async def test_what_comes_after_its_period_was_billed_is_billed_by_the_next_invoice(months):
    await months.plan("pro", standard("tokens", "1", pay_in_advance=True), amount_cents=3100)
    await months.customer("acme", paid(100))
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "7", at=day(3, 10))
    await months.bill(day(4, 1))
    await months.use("acme-1", "tokens", "5", at=day(3, 20))
    assert await look(months, day(4, 2)) == 0
    await months.bill(day(5, 1))
    made = await months.invoices()
    assert sorted(one.fees_amount_cents for one in made) == [700, 3100, 3600]
    await months.check()


@pytest.mark.parametrize("funding", [0, 100])
async def test_paid_fees_are_gathered_on_one_invoice_when_their_period_is_over(months, funding):
    """Source: Lago, advance_charges_spec: 20.08, 19.08 and 18.07 are 57.23."""
    await months.metric("seats", recurring=True)
    seats = standard(
        "seats",
        "30.12",
        pay_in_advance=True,
        invoiceable=False,
        prorated=True,
        regroup_paid_fees="invoice",
    )
    await months.plan("pro", seats)
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(6, 1))
    for on in (11, 12, 13):
        await months.use("acme-1", "seats", "1", at=day(6, on, 10))
    services = months.services
    opened = worker_transactions(services.database)
    await look(months, day(6, 14))
    assert sorted(one.amount_cents for one in await alone(months)) == [1807, 1908, 2008]
    async with services.database.tenant(months.organization_id) as connection:
        for one in await alone(months):
            done = structs.replace(one, payment_status="succeeded", succeeded_at=day(6, 14))
            await fees.save(connection, done)

    async def regroup(at) -> int:
        made = await regroup_paid_fees(opened, services.invoices.finisher, now=at)
        await pay_regrouped(opened, services.payments, now=at)
        return made

    assert await regroup(day(6, 20)) == 0
    assert await regroup(day(7, 1)) == 1
    assert await regroup(day(7, 1)) == 0
    (made,) = await months.invoices(invoice_type="advance_charges")
    assert (made.fees_amount_cents, made.payment_status) == (5723, "succeeded")
    assert await alone(months) == []
    await months.check()


@pytest.mark.parametrize(
    ("zone", "moved", "used"),
    [
        ("Asia/Tokyo", day(3, 5), day(3, 10)),
        ("America/New_York", day(3, 5), day(3, 10)),
        ("Asia/Tokyo", day(3, 31, 20), day(3, 31, 16)),
    ],
)
async def test_a_customer_who_moves_to_another_zone_is_billed_once_for_events(
    months, zone, moved, used
):
    """Whether an event was billed by the old clock or by the new one; also where some come late."""
    await months.plan("pro", standard("tokens", "1", pay_in_advance=True), amount_cents=3100)
    await months.customer("acme", paid(1000))
    await months.subscribe("acme", "pro", "acme-1", at=day(2, 1))
    await months.bill(day(3, 1))
    if used < moved:
        await months.use("acme-1", "tokens", "7", at=used)
        assert await look(months, used) == 1
    await months.customer("acme", has_wallet=False, timezone=zone)
    if used > moved:
        await months.use("acme-1", "tokens", "7", at=used)
        assert await look(months, used) == 1
    await months.bill(day(4, 1, 12))
    await months.use("acme-1", "tokens", "2", at=day(3, 20))
    await months.bill(day(5, 1, 12))
    await months.use("acme-1", "tokens", "3", at=day(4, 20))
    await months.bill(day(6, 1, 12))
    made = [one.fees_amount_cents for one in await months.invoices()]
    assert sorted(made) == [700, 3100, 3100, 3100 + 200, 3100 + 300]
    await months.check()


@pytest.mark.parametrize("funding", [0, 1000])
async def test_an_event_whose_invoice_was_voided_is_billed_again_by_hand_alone(months, funding):
    """Source: Lago: what is voided is not asked for again, unless it is made again."""
    await months.plan("pro", standard("tokens", "1", pay_in_advance=True), amount_cents=3100)
    await months.customer("acme", *([paid(funding)] if funding else []), has_wallet=funding > 0)
    await months.subscribe("acme", "pro", "acme-1", at=day(3, 1))
    for key, units in (("kept", "7"), ("again", "5"), ("gone", "4"), ("back", "2")):
        await months.use("acme-1", "tokens", units, at=day(3, 10), key=key)
    assert await look(months, day(3, 10)) == 4
    desk, place = months.services.invoices, months.organization_id
    made = {
        (await months.lines(one))[0].event_transaction_id: one for one in await months.invoices()
    }
    for key in ("again", "gone", "back"):
        await desk.void(place, made[key].id, now=day(3, 11))
    again = await desk.regenerate(place, made["again"].id, now=day(3, 12))
    assert (again.fees_amount_cents, again.voided_invoice_id) == (500, made["again"].id)
    assert again.total_amount_cents == (0 if funding else 500)
    await months.services.usage.reverse(
        place, "back", ReverseRequest(transaction_id="back-back"), now=day(3, 13)
    )
    for key in ("again", "back"):  # made again already; nothing is left to be billed
        with pytest.raises(NotAllowed):
            await desk.regenerate(place, made[key].id, now=day(3, 14))
    await months.bill(day(4, 1))
    await months.use("acme-1", "tokens", "1", at=day(3, 20))
    await months.bill(day(5, 1))
    periods = [one for one in await months.invoices() if one.created_at >= day(4, 1)]
    assert [one.fees_amount_cents for one in periods] == [3100, 3200]
    late = await desk.regenerate(place, made["gone"].id, now=day(5, 2))
    assert late.fees_amount_cents == 400
    await months.bill(day(6, 1))
    assert (await months.invoices())[-1].fees_amount_cents == 3100
    await months.check()
