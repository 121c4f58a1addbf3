"""Fixed charges and commitments on invoices: what is there, what was added, what is missing."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from msgspec import structs

from invoicing import add_ons, plans
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.minimum_commitments import CommitmentChanges
from tests.wallet_service.months import Months, day, standard
from tests.wallet_service.story import open_story


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


async def test_units_paid_in_advance_are_billed_when_a_period_begins_and_added_ones_as_they_end(
    months,
):
    """Source: Lago, fixed charges: 10 → 15 at 10.00 costs 50.00 more, and fewer give none back."""
    await months.plan("team", wanted_fixed_charges=[seats(10, pay_in_advance=True)])
    await months.subscribe("acme", "team", "acme-1", at=day(3, 1))
    await months.bill(day(3, 1))
    for at, units in ((day(3, 16), 15), (day(4, 10), 5)):
        async with months.services.changing_catalogue(months.organization_id) as connection:
            changes = plans.PlanChanges(
                wanted_fixed_charges=[
                    seats(units, pay_in_advance=True, apply_units_immediately=True)
                ]
            )
            await plans.update(connection, months.organization_id, "team", changes, now=at)
        await months.bill(day(at.month + 1, 1))
    assert await amounts(months) == [
        [("fixed_charge", 10_000)],
        [("fixed_charge", 5000), ("fixed_charge", 15_000)],
        [("fixed_charge", 5000)],
    ]
    await months.check()


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
