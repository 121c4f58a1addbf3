"""Units that stay (seats, storage) pass on to the subscription of the plan that follows."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import passed_units, subscriptions
from invoicing.subscription_moves import move_due
from invoicing.usage import Wanted
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service import passed_totals
from wallet_service.passed_totals import pass_on
from wallet_service.usage_reports import UsageReports


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


async def change(months: Months, plan: str, *, at, moves=None) -> None:
    """Another plan, through the doors: now, or when the job finds that its time has come."""
    await months.subscribe("acme", plan, "sub", at=at)
    async with months.services.database.worker.acquire() as connection, connection.transaction():
        if moves is not None:
            await move_due(connection, now=moves)
    async with months.services.database.tenant(months.organization_id) as connection:
        found = await subscriptions.get(connection, months.organization_id, "sub")
        await pass_on(connection, found)
    await months.services.catalogue_changed(months.organization_id)


async def charged(months: Months) -> list[list[tuple[Decimal, int]]]:
    """Units and cents of the usage on each invoice."""
    return [
        [
            (line.units, line.amount_cents)
            for line in await months.lines(invoice)
            if line.fee_type == "charge"
        ]
        for invoice in await months.invoices()
    ]


async def now_used(months: Months, at) -> list[tuple[Decimal, Decimal]]:
    reports = UsageReports(database=months.services.database)
    report = await reports.current(months.organization_id, "acme", "sub", Wanted(), now=at)
    return [(fee.usage.units, fee.amount) for one in report.usage.charges for fee in one.fees]


async def test_seats_that_stay_are_billed_by_both_plans_for_their_days(months):
    """30.00 a seat for 15 of 30 days of April, then 60.00 for the other 15; the day of the change
    is the new plan's. What was debited of the old plan's second half pays for the new one's."""
    await months.metric("seats", recurring=True)
    await months.metric("users", "unique_count_agg", recurring=True)
    for plan, seat in (("team", "30"), ("firm", "60")):
        charges = [
            standard(code, amount, prorated=True)
            for code, amount in (("seats", seat), ("users", "1"))
        ]
        await months.plan(plan, *charges, amount_cents=int(seat))
    acme = await months.customer("acme", paid(1000), currency="USD")
    await months.subscribe("acme", "team", "sub", at=day(4, 1))
    await months.use("sub", "seats", "10", at=day(4, 1))
    for user in ("ada", "bob"):
        await months.use("sub", "users", user, at=day(4, 1))
    assert await months.left(acme) == 1000 - 300 - 2
    await change(months, "firm", at=day(4, 16, 10))
    assert await now_used(months, day(4, 16, 11)) == [(5, 300), (1, 1)]
    await months.use("sub", "users", "ada", at=day(4, 17))  # is there already
    assert await months.left(acme) == 698
    await months.use("sub", "seats", "1", at=day(4, 20))  # 0.36667 of a month at 60.00
    assert await months.left(acme) == Decimal("675.9998")
    await months.bill(day(5, 1))
    assert await charged(months) == [
        [(5, 15_000), (1, 100)],
        [(Decimal("5.36667"), 32_200), (1, 100)],
    ]
    fees = Decimal("0.15") + Decimal("0.30")
    assert await months.left(acme) == 1000 - 151 - 323 - fees  # exactly what both periods cost
    assert await now_used(months, day(5, 2)) == [(11, 660), (2, 2)]
    await months.check()


async def test_what_has_no_days_is_billed_in_full_by_the_plan_that_follows(months):
    """Source: Lago, recurring charges without proration are not billed again at an upgrade."""
    await months.metric("seats", recurring=True)
    await months.metric("disk", "weighted_sum_agg", recurring=True)
    await months.plan("team", standard("seats", "30", min_amount_cents=5), standard("disk", "1"))
    tiers = [
        {"from_value": 0, "to_value": 10, "per_unit_amount": "50", "flat_amount": "0"},
        {"from_value": 11, "to_value": None, "per_unit_amount": "20", "flat_amount": "0"},
    ]
    graduated = structs.replace(
        standard("seats", "0"),
        charge_model="graduated",
        properties={"graduated_ranges": tiers},
    )
    await months.plan("firm", graduated, standard("disk", "1"), amount_cents=1)
    acme = await months.customer("acme", paid(2000), currency="USD")
    await months.subscribe("acme", "team", "sub", at=day(4, 1))
    await months.use("sub", "seats", "10", at=day(4, 1))
    await months.use("sub", "disk", "30", at=day(4, 1))
    assert await months.left(acme) == 2000 - 300
    await change(months, "firm", at=day(4, 16))
    await months.use("sub", "seats", "1", at=day(4, 20))  # the eleventh
    assert await months.left(acme) == 2000 - 300 - 20
    await months.bill(day(5, 1))
    assert await charged(months) == [[(0, 0), (15, 1500)], [(11, 52_000), (15, 1500)]]
    assert await months.left(acme) == 2000 - 15 - 520 - 15 - Decimal("0.01")
    await months.check()


@pytest.mark.parametrize("prorated", [True, False])
async def test_seats_that_are_paid_in_advance_are_billed_once_by_a_change_of_plan(months, prorated):
    await months.metric("seats", recurring=True)
    for plan, seat in (("team", "30"), ("firm", "60")):
        seats = standard("seats", seat, prorated=prorated, pay_in_advance=True)
        await months.plan(plan, seats, amount_cents=int(seat))
    acme = await months.customer("acme", paid(2000), currency="USD")
    await months.subscribe("acme", "team", "sub", at=day(4, 1))
    await months.use("sub", "seats", "10", at=day(4, 1))
    await months.bill(day(4, 1))
    await change(months, "firm", at=day(4, 16))
    await months.use("sub", "seats", "2", at=day(4, 16))
    await months.bill(day(5, 1))
    cents = [sum(cents for _, cents in lines) for lines in await charged(months)]
    old, new = (15_000, 36_000) if prorated else (0, 72_000)
    assert sum(cents) == old + new
    await months.check()
    assert await months.left(acme) == 2000 - Decimal(old + new + 15 + 30) / 100


async def test_a_cheaper_plan_begins_with_the_seats_that_the_dearer_one_leaves(months):
    await months.metric("seats", recurring=True)
    await months.plan("firm", standard("seats", "60", prorated=True), amount_cents=100)
    await months.plan("team", standard("seats", "30", prorated=True))
    acme = await months.customer("acme", paid(2000), currency="USD")
    await months.subscribe("acme", "firm", "sub", at=day(4, 1))
    await months.use("sub", "seats", "10", at=day(4, 1))
    await change(months, "team", at=day(4, 16), moves=day(5, 1))
    await months.use("sub", "seats", "-4", at=day(5, 21))
    await months.bill(day(6, 1))
    # 10 for 31 days, of which 4 were not there for 11 of them: 8.58065 seats.
    assert await charged(months) == [[(10, 60_000)], [(Decimal("8.58065"), 25_742)]]
    assert await months.left(acme) == 2000 - 601 - Decimal("257.42")
    await months.check()


async def test_a_plan_is_changed_also_where_the_totals_cannot_pass_on(months, monkeypatch):
    async def fail(connection, *_, **__) -> None:
        await connection.execute("select 1 / 0")

    await months.metric("seats", recurring=True)
    for plan, seat in (("team", "30"), ("firm", "60")):
        await months.plan(plan, standard("seats", seat, prorated=True), amount_cents=int(seat))
    acme = await months.customer("acme", paid(1000), currency="USD")
    await months.subscribe("acme", "team", "sub", at=day(4, 1))
    await months.use("sub", "seats", "10", at=day(4, 1))
    monkeypatch.setattr(passed_totals, "passed_lines", fail)
    await change(months, "firm", at=day(4, 16))
    await months.bill(day(5, 1))  # the true-up knows them
    assert await charged(months) == [[(5, 15_000)], [(5, 30_000)]]
    assert await months.left(acme) == 1000 - 450 - Decimal("0.15") - Decimal("0.30")
    await months.check()


async def test_sums_pass_on_without_their_events_but_not_where_a_plan_splits_them(
    months, monkeypatch
):
    await months.metric("seats", recurring=True)
    await months.metric("disk", recurring=True)
    await months.plan("team", standard("seats", "30"), standard("disk", "1"))
    properties = {"amount": "2", "pricing_group_keys": ["value"]}
    by_value = structs.replace(standard("disk", "2"), properties=properties)
    await months.plan("firm", standard("seats", "60"), by_value, amount_cents=1)
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "team", "sub", at=day(4, 1))
    for hour in range(4):
        await months.use("sub", "seats", "3", at=day(4, 1, hour))
    for value in ("5", "7", "7"):
        await months.use("sub", "disk", value, at=day(4, 2))
    await change(months, "firm", at=day(4, 16))
    await months.use("sub", "seats", "-2", at=day(4, 17))
    read, before = list[str](), passed_units._events

    def noted(connection, organization_id, ids, codes):
        read.extend(codes)
        return before(connection, organization_id, ids, codes)

    monkeypatch.setattr(passed_units, "_events", noted)
    assert await now_used(months, day(4, 18)) == [(10, 600), (5, 10), (14, 28)]
    assert read == ["disk"]
