"""What changes of plans cost, through the billing run: worked numbers of Lago's scenarios."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from invoicing import add_ons, subscription_changes
from invoicing.activation_rules import ActivationRule
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.plan_overrides import PlanOverrides
from invoicing.subscription_moves import move_due
from invoicing.subscription_requests import SubscriptionChanges
from invoicing.usage_thresholds import ThresholdChanges
from ledger.ids import new_uuid
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story, paid
from wallet_service.errors import OutcomePending
from wallet_service.invoice_finishing import worker_transactions
from wallet_service.jobs.billing import void_given_up
from wallet_service.jobs.leader import Term


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        yield Months(story)


async def own_fees(months: Months) -> list[list[int]]:
    """The plan's amounts of each invoice, in the order in which they were made."""
    found = []
    for invoice in await months.invoices():
        lines = await months.lines(invoice)
        found.append([line.amount_cents for line in lines if line.fee_type == "subscription"])
    return found


async def credits_of(months: Months) -> list[int]:
    async with months.services.database.tenant(months.organization_id) as connection:
        rows = await connection.fetch("select credit_amount_cents from invoicing.credit_notes")
    return sorted(row["credit_amount_cents"] for row in rows)


async def move(months: Months, at) -> None:
    async with months.services.database.worker.acquire() as connection, connection.transaction():
        await move_due(connection, now=at)


async def test_a_chain_of_upgrades_gives_back_what_each_has_billed(months):
    """Source: spec multiple_upgrade_spec: 871; 968 and 1226; before tax 645 and 968 come back."""
    for code, amount in (("one", 1000), ("two", 1500), ("three", 1900)):
        await months.plan(code, amount_cents=amount, pay_in_advance=True)
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "one", "sub", at=day(8, 5, 9))
    await months.bill(day(8, 5, 10))
    await months.subscribe("acme", "two", "sub", at=day(8, 12, 9))
    await months.bill(day(8, 12, 10))
    await months.subscribe("acme", "three", "sub", at=day(8, 12, 11))
    await months.bill(day(8, 12, 12))
    assert await own_fees(months) == [[871], [968], [1226]]
    assert await credits_of(months) == [645, 968]
    assert (await months.bill(day(8, 31))).invoices == 0
    await months.bill(day(9, 1))
    assert (await own_fees(months))[-1] == [1900]
    await months.check()


async def test_a_change_of_plan_is_no_end_whatever_was_agreed_of_that(months):
    await months.metric("tokens")
    for code, amount in (("less", 3000), ("some", 6000), ("more", 9000)):
        await months.plan(code, standard("tokens", "1"), amount_cents=amount)
    for code, amount in (("paid", 3000), ("dear", 4500), ("dearest", 6000)):
        await months.plan(code, amount_cents=amount, pay_in_advance=True)
    skips = {"on_termination_invoice": "skip", "on_termination_credit_note": "skip"}
    for name, first, *following in (
        ("down", "some", "less"),
        ("up", "some", "more"),
        ("ahead", "paid", "dear", "dearest"),
    ):
        await months.customer(name, has_wallet=False, currency="USD")
        await months.subscribe(name, first, name, at=day(4, 1), **skips)
        await months.bill(day(4, 1, 1))
        if first == "some":
            await months.use(name, "tokens", "10", at=day(4, 10))
        for at, plan in enumerate(following):
            await months.subscribe(name, plan, name, at=day(4, 16, at))
            await months.bill(day(4, 16, at))
    # Half a month and its usage; half a month of each plan that is paid in advance.
    until_then = [one.fees_amount_cents for one in await months.invoices()]
    assert sorted(until_then) == [2250, 3000, 3000, 4000]
    assert await credits_of(months) == [1500, 2250]
    await move(months, day(5, 1))
    await months.bill(day(5, 1))
    of_april = [one.fees_amount_cents for one in (await months.invoices())[4:]]
    assert sorted(of_april) == [4500, 6000, 7000]
    # What was agreed of the end is kept for it.
    await months.use("down", "tokens", "10", at=day(5, 5))
    async with months.services.changing_catalogue(months.organization_id) as connection:
        for name in ("down", "up", "ahead"):
            await subscription_changes.terminate(
                connection, months.organization_id, name, now=day(5, 10)
            )
    await months.bill(day(5, 10))
    assert len(await months.invoices()) == 7
    assert await credits_of(months) == [1500, 2250]
    await months.check()


async def test_a_draft_of_a_plan_that_was_changed_gives_back_credit_whatever_was_agreed(months):
    for code, amount in (("paid", 3000), ("dear", 4500)):
        await months.plan(code, amount_cents=amount, pay_in_advance=True)
    grace = {"invoice_grace_period": 30}
    await months.customer("slow", has_wallet=False, currency="USD", billing_configuration=grace)
    agreed = {"on_termination_credit_note": "offset"}
    await months.subscribe("slow", "paid", "sub", at=day(4, 1), **agreed)
    await months.bill(day(4, 1, 1))
    (draft,) = await months.invoices()
    await months.subscribe("slow", "dear", "sub", at=day(4, 16))
    await months.bill(day(4, 16))
    await months.services.invoices.finalize(months.organization_id, draft.id, now=day(4, 20))
    await months.services.credit_notes.finish_due(now=day(4, 21))
    assert await credits_of(months) == [1500]


async def test_a_year_follows_a_month_a_day_before_its_end(months):
    """Source: spec upgrade_spec: 9016 for 275 of 366 days, and 32 of a day are given back."""
    await months.plan("month", amount_cents=1000, pay_in_advance=True)
    await months.plan("year", amount_cents=12_000, interval="yearly", pay_in_advance=True)
    await months.customer("acme", has_wallet=False, currency="USD")
    started = day(6, 29, 10, year=2023)
    await months.subscribe("acme", "month", "sub", at=started, billing_time="anniversary")
    changed = day(9, 28, 10, year=2023)
    await months.bill(changed - timedelta(hours=1))
    await months.subscribe("acme", "year", "sub", at=changed)
    await months.bill(changed)
    assert await own_fees(months) == [[1000], [1000], [1000], [9016]]
    assert await credits_of(months) == [32]


async def test_a_cheaper_year_follows_a_month_at_its_end(months):
    """Source: spec downgrade_spec: 78,875 for 243 of 366 days."""
    await months.plan("month", amount_cents=12_900, pay_in_advance=True)
    await months.plan("year", amount_cents=118_800, interval="yearly", pay_in_advance=True)
    await months.customer("acme", has_wallet=False, currency="USD")
    started = day(7, 1, 10, year=2023)
    await months.subscribe("acme", "month", "sub", at=started, billing_time="anniversary")
    await months.bill(day(10, 20, year=2023))
    await months.subscribe("acme", "year", "sub", at=day(10, 20, year=2023))
    await move(months, day(11, 1, year=2023))
    await months.bill(day(11, 1, year=2023))
    assert (await own_fees(months))[-1] == [78_875]
    assert sum(len(fees) for fees in await own_fees(months)) == 5
    assert await credits_of(months) == []


async def test_a_quarter_in_arrears_is_billed_until_the_day_before_an_upgrade(months):
    """Source: spec upgrade_proration_spec: 32,000 for 32 of 91 days."""
    await months.plan("quarter", amount_cents=91_000, interval="quarterly")
    await months.plan("more", amount_cents=100_000, interval="quarterly")
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "quarter", "sub", at=day(5, 20, 10, year=2024))
    await months.subscribe("acme", "more", "sub", at=day(6, 21, 10, year=2024))
    await months.bill(day(6, 21, 11, year=2024))
    assert await own_fees(months) == [[32_000]]


async def test_a_trial_is_billed_as_it_ends(months):
    """Source: spec free_trial_billing_spec: 2,741,935 for 17 of 31 days."""
    await months.plan("pro", amount_cents=5_000_000, pay_in_advance=True, trial_period=Decimal(10))
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "pro", "sub", at=day(3, 5, 10, year=2024))
    assert (await months.bill(day(3, 15, 9, year=2024))).invoices == 0
    await months.bill(day(3, 15, 11, year=2024))
    assert await own_fees(months) == [[2_741_935]]


async def test_what_waits_to_be_paid_begins_once_its_wallet_has_paid(months):
    await months.plan("pro", amount_cents=1000, pay_in_advance=True)
    await months.customer("acme", paid(50))
    now = day(3, 1, 10)
    rule = ActivationRule(id=new_uuid(now), created_at=now, updated_at=now)
    await months.subscribe("acme", "pro", "sub", at=now, activation_rules=[rule])
    await move(months, now)
    await months.bill(now)
    (invoice,) = await months.invoices()
    assert invoice.payment_status == "succeeded"
    await move(months, now)
    async with months.services.database.tenant(months.organization_id) as connection:
        status = await connection.fetchval("select status from invoicing.subscriptions")
    assert status == "active"


async def test_what_is_not_paid_in_time_is_not_owed(months, monkeypatch):
    """Its invoice is voided once, with what a wallet had paid of it; also by who comes later."""
    await months.plan("pro", amount_cents=100_000, pay_in_advance=True)
    grace = {"invoice_grace_period": 3}
    acme = await months.customer("acme", paid(4), currency="USD", billing_configuration=grace)
    now = datetime.now(UTC) - timedelta(hours=2)
    rule = ActivationRule(id=new_uuid(now), timeout_hours=1, created_at=now, updated_at=now)
    for name in ("sub", "other"):
        rules = [rule] if name == "sub" else []
        await months.subscribe("acme", "pro", name, at=now, activation_rules=rules)
    await months.bill(now)
    (gated,) = await months.invoices(status="finalized")
    assert (gated.payment_status, await months.left(acme)) == ("pending", 0)
    await move(months, now + timedelta(hours=1))
    book = months.services.invoice_book
    before = book.void

    async def dies(*args: Any, **terms: Any) -> Any:
        await before(*args, **terms)
        raise OutcomePending

    with monkeypatch.context() as patch:
        patch.setattr(book, "void", dies)
        assert await void_given_up(months.services, Term(-1)) == 0
    assert await void_given_up(months.services, Term(-1)) == 1
    assert await void_given_up(months.services, Term(-1)) == 0
    (voided,) = await months.invoices(status="voided")
    assert (voided.id, await months.left(acme)) == (gated.id, 4)
    assert [one.status for one in await months.invoices()].count("draft") == 1
    await months.check()


async def test_what_was_billed_ahead_is_off_the_last_invoice_of_a_plan(months):
    """Source: spec progressive_billing_spec: 18.00 where it was terminated, 17.00 where upgraded.

    With the prices of its first case (31.00 a month, 0.0002 a unit, a threshold of 200.00) these
    are 18 and 17 days of 31: the day of an upgrade is the next plan's.
    """
    await months.metric("tokens")
    prices = standard("tokens", "0.0002")
    thresholds = [ThresholdChanges(amount_cents=20_000)]
    await months.plan("pro", prices, amount_cents=3100, wanted_thresholds=thresholds)
    await months.plan("more", prices, amount_cents=6200)
    for name in ("ended", "upgraded"):
        await months.customer(name, has_wallet=False, currency="USD")
        await months.subscribe(name, "pro", name, at=day(3, 1))
        await months.use(name, "tokens", "1000000", at=day(3, 10))
    opened = worker_transactions(months.services.database)
    assert await months.services.invoices.progressive.run(opened, now=day(3, 11)) == 2
    async with months.services.changing_catalogue(months.organization_id) as connection:
        place = connection, months.organization_id
        await subscription_changes.terminate(*place, "ended", now=day(3, 18, 12))
    await months.subscribe("upgraded", "more", "upgraded", at=day(3, 18, 12))
    await months.bill(day(3, 18, 13))
    last = await months.invoices(invoice_type="subscription")
    assert [one.progressive_billing_credit_amount_cents for one in last] == [20_000, 20_000]
    assert sorted(one.total_amount_cents for one in last) == [1700, 1800]
    await months.check()


async def test_prices_of_its_own_bill_no_unit_twice(months):
    async with months.services.changing_catalogue(months.organization_id) as connection:
        place = connection, months.organization_id
        seat = add_ons.AddOnChanges(
            code="seat", name="Seat", amount_cents=500, amount_currency="USD"
        )
        await add_ons.create(*place, seat, now=day(1, 1, year=2025))
    seats = FixedChargeChanges(
        add_on_code="seat", charge_model="standard", units=Decimal(2), pay_in_advance=True
    )
    await months.plan("team", wanted_fixed_charges=[seats])
    await months.customer("acme", has_wallet=False, currency="USD")
    await months.subscribe("acme", "team", "sub", at=day(3, 1))
    await months.bill(day(3, 1))
    async with months.services.changing_catalogue(months.organization_id) as connection:
        place = connection, months.organization_id
        changes = SubscriptionChanges(plan_overrides=PlanOverrides(amount_cents=100))
        await subscription_changes.update(*place, "sub", changes, now=day(3, 10))
    await months.bill(day(4, 1))
    first, second = [await months.lines(invoice) for invoice in await months.invoices()]
    assert [(fee.fee_type, fee.amount_cents) for fee in first] == [("fixed_charge", 1000)]
    assert [(fee.fee_type, fee.amount_cents) for fee in second] == [
        ("subscription", 100),
        ("fixed_charge", 1000),
    ]
