"""`wallet rerate`: what periods cost beside usage, by the day and in the customer's zone."""

import asyncio
import csv
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from invoicing import subscription_changes
from invoicing.billable_metrics import MetricChanges, MetricFilter
from invoicing.charge_filters import FilterChanges
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.minimum_commitments import CommitmentChanges
from ledger.money import Rounding, to_minor
from tests.wallet_service.prices import Market, at, charge, tiers
from tests.wallet_service.story import as_owner, open_story
from wallet_service.cli import main

Ask = Callable[..., Awaitable[dict[str, Any]]]
_names = itertools.count(1)


@pytest.fixture(scope="module")
async def market(new_database, settings_for, redis_server) -> AsyncIterator[Market]:
    settings = structs.replace(settings_for(await new_database()), redis_url=redis_server.url())
    async with open_story(settings) as story:
        market = Market(story)
        by_model = [MetricFilter("model", ["small", "large"])]
        await market.metrics(
            MetricChanges(
                code="tokens", aggregation_type="sum_agg", field_name="n", filters=by_model
            )
        )
        await market.add_on("seats")
        await market.plan("free")
        yield market


@pytest.fixture
def run(market: Market, tmp_path: Path) -> Callable[..., Awaitable[Result]]:
    """Run the command, in a thread with its own loop."""
    environment = {
        "WALLET_DATABASE_URL": market.services.settings.database_url,
        "WALLET_DATA_DIR": str(tmp_path),
        "COLUMNS": "160",
    }

    async def run(plan: str, customer: str, start: str, end: str, *more: str) -> Result:
        given = ["--plan", plan, "--customer", customer, "--from", start, "--to", end, *more]
        return await asyncio.to_thread(
            CliRunner().invoke, main, ["rerate", *given], env=environment
        )

    return run


@pytest.fixture
def ask(run) -> Ask:
    """What a customer's periods would have cost, by what it is for, as exact texts."""

    async def ask(plan: str, customer: str, start: str, end: str) -> dict[str, Any]:
        result = await run(plan, customer, start, end, "--format", "json", "--by", "metric")
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        return {
            ":".join(filter(None, (cost["kind"], cost["code"]))): (cost["was"], cost["would_be"])
            for cost in answer["costs"]
        } | {"total": tuple((one["was"], one["would_be"]) for one in answer["totals"])}

    return ask


async def subscribe(market: Market, plan: str, since: datetime, **more: Any) -> str:
    """A new customer who is on a plan since some time."""
    name = f"customer-{next(_names)}"
    zone = more.pop("timezone", None)
    await market.customer(name, **({"timezone": zone} if zone else {}))
    await market.subscribe(name, plan, since=since, **more)
    return name


def cents(amount: str) -> int:
    return to_minor(Decimal(amount), 2, Rounding.HALF_AWAY)


def seats(units: int, model: str = "standard", **more: Any) -> dict[str, Any]:
    """A plan's only fixed charge."""
    properties = more.pop("properties", {"amount": "10"})
    wanted = FixedChargeChanges(
        add_on_code="seats",
        code="seats",
        charge_model=model,
        properties=properties,
        units=Decimal(units),
        **more,
    )
    return {"wanted_fixed_charges": [wanted]}


def committed(amount_cents: int) -> dict[str, Any]:
    return {"wanted_commitment": CommitmentChanges(amount_cents=amount_cents)}


# -- minimums of charges: lago.md 3.3, spec/scenarios/spending_minimum_spec.rb


async def test_a_charge_is_missed_by_its_days_share_of_the_minimum(market, ask):
    cent = charge("tokens", "standard", {"amount": "0.01"}, min_amount_cents=1000)
    await market.plan("at-least", cent)
    name = await subscribe(market, "free", at(2, 4))  # 25 of the 28 days of February
    await market.use(name, "tokens", at=at(2, 10), n=800)
    found = await ask("at-least", name, "2025-02-01", "2025-03-01")
    assert found["usage:tokens"] == ("0", "8")
    was, would_be = found["minimum:tokens"]
    assert (was, cents(would_be)) == ("0", 93)
    assert would_be == "0.9285714285714285714285714285714285714286"
    assert found["total"] == (("0", "8.9285714285714285714285714285714285714286"),)


async def test_what_a_charge_costs_over_its_filters_counts_towards_its_minimum(market, ask):
    large = FilterChanges(values={"model": ["large"]}, properties={"amount": "0.5"})
    cent = charge("tokens", "standard", {"amount": "0.01"}, min_amount_cents=10_000)
    await market.plan("by-model", structs.replace(cent, filters=[large]))
    name = await subscribe(market, "by-model", at(2, 4))
    await market.use(name, "tokens", at=at(2, 10), n=2000, model="small")
    await market.use(name, "tokens", at=at(2, 10), n=100, model="large")
    found = await ask("by-model", name, "2025-02-01", "2025-03-01")
    assert found["usage:tokens"] == ("70", "70")
    assert [cents(amount) for amount in found["minimum:tokens"]] == [1929, 1929]


async def test_the_minimum_is_due_of_who_uses_nothing_and_none_of_who_uses_enough(market, ask):
    await market.plan(
        "least-10", charge("tokens", "standard", {"amount": "1"}, min_amount_cents=1000)
    )
    idle, busy = [await subscribe(market, "free", at(5)) for _ in range(2)]
    await market.use(busy, "tokens", at=at(6, 10), n=10)
    assert await ask("least-10", idle, "2025-06-01", "2025-08-01") == {
        "minimum:tokens": ("0", "20"),
        "total": (("0", "20"),),
    }
    found = await ask("least-10", busy, "2025-06-01", "2025-07-01")
    assert found == {"usage:tokens": ("0", "10"), "total": (("0", "10"),)}


# -- commitments: lago.md 4, spec/scenarios/commitments/minimum/in_arrears_spec.rb


@pytest.mark.parametrize(
    ("interval", "since", "times", "fee", "missing"),
    [
        ("weekly", at(2, 5), ("2025-02-03", "2025-02-10"), 71_429, 642_857),  # from Wednesday
        ("monthly", at(2, 4), ("2025-02-01", "2025-03-01"), 89_286, 803_571),
        ("monthly", at(1), ("2025-02-01", "2025-03-01"), 100_000, 900_000),
    ],
)
async def test_a_plan_is_missed_by_its_days_share_of_the_commitment(
    market, ask, interval, since, times, fee, missing
):
    plan = f"committed-{next(_names)}"
    await market.plan(plan, interval=interval, amount_cents=100_000, **committed(1_000_000))
    name = await subscribe(market, "free", since)
    found = await ask(plan, name, *times)
    assert cents(found["subscription"][1]) == fee
    assert cents(found["commitment"][1]) == missing
    assert found["total"][0][0] == "0"


async def test_the_fee_usage_and_minimums_count_towards_a_commitment_and_units_do_not(market, ask):
    priced = charge("tokens", "standard", {"amount": "1"}, min_amount_cents=5000)
    await market.plan("hundred", priced, amount_cents=2000, **committed(10_000), **seats(1))
    name = await subscribe(market, "hundred", at(1))
    await market.use(name, "tokens", at=at(6, 2), n=30)
    assert await ask("free", name, "2025-06-01", "2025-07-01") == {
        "usage:tokens": ("30", "0"),
        "minimum:tokens": ("20", "0"),
        "fixed_charge:seats": ("10", "0"),
        "subscription": ("20", "0"),
        "commitment": ("30", "0"),
        "total": (("110", "0"),),
    }


# -- fixed charges: lago.md 3.3


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (seats(3), "30"),
        (seats(3, prorated=True), "15"),
        (seats(3, pay_in_advance=True), "30"),
        (seats(3, pay_in_advance=True, prorated=True), "15"),
        (
            seats(
                21,
                "graduated",
                properties={
                    "graduated_ranges": tiers(
                        (0, 10, "10", "2"), (11, 20, "5", "3"), (21, None, "5", "3")
                    )
                },
            ),
            "163",
        ),
        (
            seats(
                101,
                "volume",
                properties={"volume_ranges": tiers((0, 100, "2", "10"), (101, None, "1", "0"))},
            ),
            "101",
        ),
        (seats(0), None),
    ],
)
async def test_units_cost_what_their_model_says_for_the_days_where_it_is_prorated(
    market, ask, terms, expected
):
    plan = f"seats-{next(_names)}"
    await market.plan(plan, **terms)
    name = await subscribe(market, "free", at(6, 16))  # half of June
    found = await ask(plan, name, "2025-06-01", "2025-07-01")
    assert found.get("fixed_charge:seats", ("0", None)) == ("0", expected)


@pytest.mark.parametrize(
    ("units", "expected"),
    [([10, 15], "150"), ([10, 5], "100"), ([10, 5, 15], "150"), ([10, 5, 10], "100")],
)
async def test_more_units_at_once_cost_what_they_add_in_advance(market, ask, units, expected):
    # 10 → 15 at 10.00 is 50.00 more, a decrease nothing, 10 → 5 → 15 is 50.00 more
    plan = f"growing-{next(_names)}"
    await market.plan(plan, **seats(units[0], pay_in_advance=True))
    month = market.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    name = await subscribe(market, plan, at(1))
    for more in units[1:]:
        await market.change_units(plan, "seats", more, apply_units_immediately=True)
    found = await ask(plan, name, month.isoformat(), "9999-01-01")
    # The same units from the beginning, where the version in force is tried.
    assert found["fixed_charge:seats"] == (expected, str(units[-1] * 10))


async def test_units_that_are_not_applied_at_once_count_from_the_next_period_on(market, ask):
    await market.plan("later", **seats(10, prorated=True))
    name = await subscribe(market, "later", at(1))
    plan = "(select id from invoicing.plans where code = 'later')"
    for table in ("plan_versions", "fixed_charge_units"):
        await as_owner(
            market.services.settings,
            f"update invoicing.{table} set effective_at = $1 where plan_id = {plan}",
            at(1),
        )
    for when, units, at_once in ((at(6, 11), 12, True), (at(6, 16), 15, False)):
        await as_owner(
            market.services.settings,
            "insert into invoicing.fixed_charge_units (organization_id, plan_id, fixed_charge_id, "
            "units, effective_at, applies_immediately) select organization_id, plan_id, "
            "fixed_charge_id, $1, $2, $3 from invoicing.fixed_charge_units "
            f"where plan_id = {plan} limit 1",
            units,
            when,
            at_once,
        )
    june = await ask("free", name, "2025-06-01", "2025-07-01")
    assert june["fixed_charge:seats"] == ("113.3334", "0")  # 10, 20 of 30 days 12: 11.33334
    july = await ask("free", name, "2025-07-01", "2025-08-01")
    assert july["fixed_charge:seats"] == ("150", "0")


# -- the plan's own amount: lago.md 4


async def test_a_plan_costs_its_amount_by_the_day_and_nothing_on_trial(market, ask):
    # 5,000,000 a month from 5 March with 10 days of trial: 2,741,935 (17 of 31 days)
    await market.plan("on-trial", amount_cents=5_000_000, trial_period=Decimal(10))
    name = await subscribe(market, "on-trial", at(3, 5))
    march = await ask("free", name, "2025-03-01", "2025-04-01")
    assert cents(march["subscription"][0]) == 2_741_935
    assert (await ask("free", name, "2025-03-01", "2025-03-15")) == {"total": ()}
    april = await ask("free", name, "2025-04-01", "2025-05-01")
    assert april["subscription"] == ("50000", "0")


async def test_days_and_periods_are_those_where_the_customer_lives(market, ask):
    await market.plan("thirty", amount_cents=3000)
    started = datetime(2025, 6, 15, 20, tzinfo=UTC)  # the 16th in Tokyo: 15 days are left
    tokyo = await subscribe(market, "thirty", started, timezone="Asia/Tokyo")
    here = await subscribe(market, "thirty", started)
    june = "2025-06-01T00:00:00+09:00", "2025-07-01T00:00:00+09:00"
    assert (await ask("free", tokyo, *june))["subscription"] == ("15", "0")
    assert (await ask("free", here, "2025-06-01", "2025-07-01"))["subscription"] == ("16", "0")


async def test_who_left_paid_until_then_and_each_plan_has_periods_of_its_own(market, ask):
    await market.plan("monthly-31", amount_cents=3100)
    await market.plan("yearly-365", amount_cents=36_500, interval="yearly")
    name = await subscribe(market, "monthly-31", at(1), billing_time="calendar")
    async with market.services.changing_catalogue(market.organization_id) as connection:
        await subscription_changes.terminate(
            connection, market.organization_id, name, now=market.now
        )
    await as_owner(
        market.services.settings,
        "update invoicing.subscriptions set terminated_at = $1 where external_id = $2",
        at(7, 10),
        name,
    )
    found = await ask("yearly-365", name, "2025-05-01", "2025-12-01")
    # May and June and 10 days of July; 31 + 30 + 10 days of a year
    assert found["subscription"] == ("72", "71")


# -- how it is shown


async def test_fees_are_lines_beside_the_usage_and_in_the_totals(market, run):
    terms = charge("tokens", "standard", {"amount": "0.01"}, min_amount_cents=1000)
    await market.plan("shown", terms, amount_cents=2800, **committed(100_000), **seats(2))
    name = await subscribe(market, "free", at(2, 4))
    await market.use(name, "tokens", at=at(2, 10), n=800)
    february = "2025-02-01", "2025-03-01"
    printed = await run("shown", name, *february)
    lines = [line.strip("│ ") for line in printed.output.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line.split("│")] for line in lines]
    assert [(row[3], row[-2]) for row in cells] == [
        ("Usage", "8"),
        ("Minimum", "0.928571428571…"),
        ("Fixed charge", "20"),
        ("Plan fee", "25"),
        ("Commitment", "858.928571428571…"),
        ("", "912.857142857142…"),
    ]
    written = await run("shown", name, *february, "--format", "csv", "--by", "metric")
    rows = list(csv.DictReader(written.stdout.splitlines()))
    assert [(row["kind"], row["code"]) for row in rows] == [
        ("usage", "tokens"),
        ("minimum", "tokens"),
        ("fixed_charge", "seats"),
        ("subscription", ""),
        ("commitment", ""),
    ]
    assert all(row["difference"] == row["would_be"] for row in rows)
