"""Fixed charges and commitments on invoices: what is there, what was added, what is missing."""

import itertools
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import add_ons, plans
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.minimum_commitments import CommitmentChanges
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import as_owner, open_story
from wallet_service.migrate import load_migrations


@pytest.fixture
async def months(database_dsn, redis_url, settings_for) -> AsyncIterator[Months]:
    settings = structs.replace(settings_for(database_dsn), redis_url=redis_url)
    async with open_story(settings) as story:
        months = Months(story)
        await months.metric("tokens")
        async with months.services.changing_catalogue(months.organization_id) as connection:
            seat = add_ons.AddOnChanges(
                code="seat", name="Seat", amount_cents=1000, amount_currency="USD"
            )
            await add_ons.create(connection, months.organization_id, seat, now=day(1, 1))
        await months.customer("acme", has_wallet=False)
        yield months


def seats(units: int, **terms) -> FixedChargeChanges:
    return FixedChargeChanges(
        add_on_code="seat",
        code="seat",
        charge_model="standard",
        properties={"amount": "10"},
        units=Decimal(units),
        **terms,
    )


async def amounts(months: Months) -> list[list[tuple[str, int]]]:
    found = [await months.lines(one) for one in await months.invoices()]
    return [[(line.fee_type, line.amount_cents) for line in lines] for lines in found]


async def agree(months: Months, units: int, *, at, **terms) -> None:
    """Other units, at once."""
    async with months.services.changing_catalogue(months.organization_id) as connection:
        wanted = [seats(units, pay_in_advance=True, apply_units_immediately=True, **terms)]
        changes = plans.PlanChanges(wanted_fixed_charges=wanted)
        await plans.update(connection, months.organization_id, "team", changes, now=at)


async def test_units_paid_in_advance_are_billed_when_a_period_begins_and_when_some_are_added(
    months,
):
    """Source: Lago, fixed charges: 10 → 15 at 10.00 costs 50.00 at once, fewer give none back, and
    10 → 5 → 15 costs 50.00."""
    await months.plan("team", wanted_fixed_charges=[seats(10, pay_in_advance=True)])
    await months.subscribe("acme", "team", "acme-1", at=day(3, 1))
    await months.customer("late", has_wallet=False)
    await months.subscribe("late", "team", "late-1", at=day(3, 20), subscription_at=day(3, 1))
    await months.bill(day(3, 1))
    await agree(months, 15, at=day(3, 16, 9))
    await months.bill(day(3, 16, 10))
    await months.bill(day(3, 16, 11))
    assert await amounts(months) == [[("fixed_charge", 10_000)], [("fixed_charge", 5000)]]
    _, added = await months.invoices()
    (line,) = await months.lines(added)
    assert (line.units, line.from_datetime, line.to_datetime) == (5, day(3, 16, 9), day(4, 1))
    assert added.issuing_date == day(3, 16).date()
    await agree(months, 5, at=day(4, 10))
    await agree(months, 20, at=day(4, 20))
    await months.bill(day(5, 1))
    # Who was backdated has no invoice of what was before; its April is like that of the other.
    assert sorted(itertools.chain(*(await amounts(months))[2:])) == sorted(
        [("fixed_charge", 15_000), ("fixed_charge", 5000), ("fixed_charge", 20_000)] * 2
        + [("fixed_charge", 5000)]
    )
    await months.check()


async def test_an_upgrade_bills_no_units_again_that_a_period_has_billed_at_its_end(
    months, database_dsn, settings_for
):
    settings = settings_for(database_dsn)
    names = "026_units_billed_before.sql", "030_units_billed_by_invoices.sql"
    before, by_invoices = [one.sql for one in load_migrations() if one.name in names]
    await months.plan("team", wanted_fixed_charges=[seats(10, pay_in_advance=True)])
    await months.subscribe("acme", "team", "acme-1", at=day(3, 1))
    grace = {"invoice_grace_period": 3}
    slow = await months.customer("slow", has_wallet=False, billing_configuration=grace)
    await months.subscribe("slow", "team", "slow-1", at=day(3, 1))
    await agree(months, 15, at=day(3, 16))
    await months.bill(day(4, 1))
    await agree(months, 20, at=day(4, 10))
    await as_owner(settings, before + by_invoices)
    billed = "reason = 'fixed_charge_units_changed'"
    count = f"select count(*) from invoicing.billed_periods where {billed}"
    assert await months.story.read(count) == 2  # as they were billed
    # As the release before left it: it had no such moments.
    await as_owner(
        settings,
        f"with gone as (delete from invoicing.billed_periods where {billed} returning invoice_id), "
        "drafts as (delete from invoicing.invoices using gone where id = invoice_id "
        "and status = 'draft' returning id) "
        "delete from invoicing.fees using drafts where invoice_id = drafts.id",
    )
    await as_owner(settings, before)
    await as_owner(settings, before)
    assert await months.story.read(f"{count} and invoice_id is null") == 1
    await as_owner(settings, by_invoices)
    await as_owner(settings, by_invoices)
    assert await months.story.read(f"{count} and invoice_id is not null") == 1
    await months.bill(day(4, 20))
    found = [one for one in await months.invoices() if one.customer_id != slow]
    assert [one.fees_amount_cents for one in found] == [10_000, 5000, 15_000, 5000]
    drafts = [one for one in await months.invoices() if one.customer_id == slow]
    assert sorted(one.fees_amount_cents for one in drafts) == [5000, 5000, 10_000, 15_000]
    await months.check()
    # The invoice that had billed them bills them again when it is made anew.
    place = months.organization_id, found[2].id
    await months.services.invoices.void(*place, now=day(4, 21))
    anew = await months.services.invoices.regenerate(*place, now=day(4, 21))
    assert sorted(one.amount_cents for one in await months.lines(anew)) == [5000, 15_000]
    await months.check()


async def test_added_units_that_are_prorated_cost_the_days_that_are_left(months):
    await months.plan("team", wanted_fixed_charges=[seats(10, pay_in_advance=True, prorated=True)])
    await months.subscribe("acme", "team", "acme-1", at=day(3, 1))
    await months.bill(day(3, 1))
    await agree(months, 15, at=day(3, 16), prorated=True)
    await months.bill(day(4, 1))
    # 5 for 16 of 31 days: 2.58065 seats.
    assert await amounts(months) == [
        [("fixed_charge", 10_000)],
        [("fixed_charge", 2581)],
        [("fixed_charge", 15_000)],
    ]


async def test_what_is_missing_to_the_commitment_is_billed_when_the_period_ends(months):
    await months.plan(
        "committed",
        standard("tokens", "1"),
        amount_cents=10_000,
        wanted_commitment=CommitmentChanges(amount_cents=100_000),
        wanted_fixed_charges=[seats(2)],
    )
    await months.subscribe("acme", "committed", "acme-1", at=day(3, 1))
    await months.use("acme-1", "tokens", "50", at=day(3, 10))
    await months.bill(day(4, 1))
    assert await amounts(months) == [
        [
            ("subscription", 10_000),
            ("fixed_charge", 2000),
            ("charge", 5000),
            ("commitment", 85_000),
        ]
    ]
    await months.check()
