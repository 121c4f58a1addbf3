"""What past usage would have cost under another plan: hand-computed, and against its own prices."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from invoicing import billable_metrics
from invoicing.billable_metrics import MetricChanges, MetricFilter
from invoicing.charge_assets import AlternativeChanges
from invoicing.charge_filters import FilterChanges
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Window
from invoicing.usage import Wanted
from rating.exact import EXACT, ZERO
from tests.wallet_service.prices import (
    CALLS,
    METRICS,
    TIERED,
    TOKENS,
    USAGE,
    Market,
    at,
    charge,
    every_kind,
)
from tests.wallet_service.story import Story, as_owner, paid
from wallet_service import assets, organizations
from wallet_service.rerating import Comparison, Question, compare
from wallet_service.services import Services, open_services
from wallet_service.usage_reports import UsageReports


@pytest.fixture(scope="module")
async def services(new_database, settings_for, redis_server) -> AsyncIterator[Services]:
    settings = structs.replace(settings_for(await new_database()), redis_url=redis_server.url())
    async with open_services(settings) as services:
        yield services


_numbers = itertools.count(1)


@pytest.fixture
async def market(services) -> Market:
    """An organization of this test's own."""
    now = datetime.now(UTC)
    async with services.database.worker.acquire() as connection, connection.transaction():
        name = f"town-{next(_numbers)}"
        organization = await organizations.create_organization(connection, name, now=now)
    async with services.database.tenant(organization.id) as connection:
        asset = (await assets.find(connection, organization.id, "USD", now=now)).asset()
    return Market(Story(services, organization.id, asset))


Ask = Callable[..., Awaitable[Comparison]]


@pytest.fixture
def ask(market) -> Ask:
    """Compare in a transaction that may only read."""

    async def ask(plan: str, start=None, end=None, **terms: Any) -> Comparison:
        question = Question(plan_code=plan, start=start or at(6), end=end or at(8), **terms)
        database = market.services.database
        async with (
            database.worker.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await compare(connection, market.organization_id, question, now=market.now)

    return ask


async def sell(market: Market, *metrics: MetricChanges, **plans: Any) -> None:
    """Metrics, plans, and a customer who is on the first plan since January 2025."""
    await market.metrics(*(structs.replace(one) for one in metrics))
    for code, charges in plans.items():
        await market.plan(code, *charges)
    await market.customer("acme")
    await market.subscribe("acme", next(iter(plans)), since=at(1))


def shown(comparison: Comparison) -> list[tuple[Any, ...]]:
    return [
        (
            cost.code,
            cost.asset_code,
            (cost.events, cost.was),
            (cost.would_be_events, cost.would_be),
        )
        for cost in comparison.costs
    ]


def unpriced(comparison: Comparison) -> list[tuple[Any, ...]]:
    return [structs.astuple(one) for one in comparison.unpriced]


LINEAR = [charge("tokens", "standard", {"amount": "0.01"})]


async def use_tokens(market: Market) -> None:
    """1,300 in June, 500 in July."""
    for day, tokens in ((at(6, 3), 600), (at(6, 20), 700), (at(7, 5), 500)):
        await market.use("acme", "tokens", at=day, tokens=tokens)


async def test_tiers_against_a_linear_price_period_by_period(market, ask):
    await sell(market, TOKENS, linear=LINEAR, tiered=[charge("tokens", "graduated", TIERED)])
    await use_tokens(market)
    found = await ask("tiered")
    # June: 1 + 1000 x 0.008 + 300 x 0.005 = 10.5; July: 1 + 500 x 0.008 = 5
    assert shown(found) == [("tokens", "USD", (3, Decimal(18)), (3, Decimal("15.5")))]
    assert found.costs[0].difference == Decimal("-2.5")
    assert (found.plan_code, found.version, found.unpriced) == ("tiered", 1, [])
    cost = found.costs[0]
    names = cost.external_customer_id, cost.external_subscription_id, cost.plan_code
    assert names == ("acme", "acme", "linear")


async def test_only_usage_within_the_times_counts(market, ask):
    await sell(market, TOKENS, linear=LINEAR, tiered=[charge("tokens", "graduated", TIERED)])
    await use_tokens(market)
    june = await ask("tiered", at(6), at(7))
    assert shown(june) == [("tokens", "USD", (2, Decimal(13)), (2, Decimal("10.5")))]
    middle = await ask("tiered", at(6, 20), at(7, 5))  # 700 tokens
    assert shown(middle) == [("tokens", "USD", (1, Decimal(7)), (1, Decimal("6.6")))]
    assert shown(await ask("tiered", at(3), at(6))) == []


async def test_periods_are_those_of_the_plan_that_is_tried(market, ask):
    await sell(market, TOKENS, linear=LINEAR)
    await market.plan("tiered", charge("tokens", "graduated", TIERED), interval="yearly")
    await use_tokens(market)
    # one year: 1 + 1000 x 0.008 + 800 x 0.005
    assert shown(await ask("tiered"))[0][3] == (3, Decimal(13))


async def test_a_plans_own_version_in_force_or_an_older_one_can_be_tried(market, ask):
    await sell(market, TOKENS, linear=LINEAR, other=[charge("tokens", "standard", {"amount": "1"})])
    await use_tokens(market)
    await market.change("other", charge("tokens", "standard", {"amount": "2"}))
    assert [(one.version, one.costs[0].would_be) for one in (await ask("other"),)] == [(2, 3600)]
    first = await ask("other", version=1)
    assert (first.version, first.costs[0].would_be) == (1, 1800)


async def test_usage_was_what_the_versions_said_that_it_was_rated_with(market, ask):
    await sell(market, TOKENS, linear=LINEAR)
    await market.change("linear", charge("tokens", "standard", {"amount": "0.02"}))
    await as_owner(
        market.services.settings,
        "update invoicing.plan_versions set effective_at = "
        "case version when 1 then $1::timestamptz else $2 end where organization_id = $3",
        at(1),
        at(6, 10),
        market.organization_id,
    )
    await market.services.catalogue_changed(market.organization_id)
    await use_tokens(market)
    # 600 at 0.01, 1200 at 0.02; all of it at 0.02
    assert shown(await ask("linear")) == [("tokens", "USD", (3, Decimal(30)), (3, Decimal(36)))]


async def test_what_a_plan_cannot_price_is_listed_with_its_reason(market, ask):
    priced = MetricChanges(
        code="tokens",
        aggregation_type="sum_agg",
        field_name="tokens",
        filters=[MetricFilter("model", ["small", "large"])],
    )
    only_large = charge(
        "tokens",
        "standard",
        {},
        filters=[FilterChanges(values={"model": ["large"]}, properties={"amount": "0.03"})],
    )
    calls = charge("calls", "standard", {"amount": "0.5"})
    await sell(market, priced, CALLS, linear=[*LINEAR, calls], large=[only_large])
    await market.use("acme", "tokens", at=at(6), tokens=100, model="large")
    for _ in range(2):
        await market.use("acme", "tokens", at=at(6), tokens=100, model="small")
    await market.use("acme", "tokens", at=at(6), tokens=100)
    for _ in range(4):
        await market.use("acme", "calls", at=at(6))
    found = await ask("large")
    assert shown(found) == [
        ("calls", "USD", (4, Decimal(2)), (0, ZERO)),
        ("tokens", "USD", (4, Decimal(4)), (1, Decimal(3))),
    ]
    assert unpriced(found) == [
        ("calls", "billable_metric_not_found", None, 4),
        ("tokens", "price_not_found", "model", 2),
        ("tokens", "missing_property", "model", 1),
    ]


async def test_usage_that_had_no_price_is_priced_by_a_plan_that_has_one(market, ask):
    calls = charge("calls", "standard", {"amount": "0.5"})
    await sell(market, TOKENS, CALLS, linear=LINEAR, calls=[calls])
    await market.use("acme", "calls", at=at(6))
    await market.use("nobody", "calls", at=at(6))
    found = await ask("calls")
    assert shown(found) == [("calls", "USD", (0, ZERO), (1, Decimal("0.5")))]
    assert unpriced(found) == [("calls", "subscription_not_found", None, 1)]


async def test_usage_that_was_taken_back_is_none_and_one_that_was_given_back_in_part_is(
    market, ask
):
    await sell(market, TOKENS, linear=LINEAR)
    await market.story.wallet(await market.customer("acme"), "acme", paid(100))
    await market.reverse(await market.use("acme", "tokens", at=at(6), tokens=100))
    part = await market.use("acme", "tokens", at=at(6), tokens=50)
    await market.reverse(part, "0.2")
    assert shown(await ask("linear")) == [
        ("tokens", "USD", (1, Decimal("0.5")), (1, Decimal("0.5")))
    ]


async def test_captures_are_usage_and_amounts_are_none(market, ask):
    await sell(market, TOKENS, linear=LINEAR, dear=[charge("tokens", "standard", {"amount": "1"})])
    customer, begun = await market.customer("acme"), market.now
    await market.story.wallet(customer, "acme", paid(100))
    authorization = await market.capture("acme", ("tokens", {"tokens": 30}))
    await market.refund(authorization, "0.1")
    await market.story.capture(customer, await market.story.hold(customer, 5), 5)
    found = await ask("dear", begun, datetime(9000, 1, 1, tzinfo=UTC))
    assert shown(found) == [("tokens", "USD", (1, Decimal("0.3")), (1, Decimal(30)))]
    assert found.end <= market.now


async def test_units_that_stay_count_in_every_period_and_by_days_if_prorated(market, ask):
    seats = MetricChanges(
        code="seats", aggregation_type="unique_count_agg", field_name="seat", recurring=True
    )
    await sell(
        market,
        seats,
        whole=[charge("seats", "standard", {"amount": "10"})],
        days=[charge("seats", "standard", {"amount": "10"}, prorated=True)],
    )
    await market.use("acme", "seats", at=at(5, 2), seat="ada")
    await market.use("acme", "seats", at=at(5, 9), seat="bob")
    await market.use("acme", "seats", at=at(7, 10), seat="bob", operation_type="remove")
    found = await ask("days")
    # June: 2 seats, July: 1 at its end. By days: 2, and 31 + 10 of 31 days, rounded up to 1.32259
    assert shown(found) == [("seats", "USD", (1, Decimal(30)), (1, Decimal("33.2259")))]
    days = await ask("whole", at(6), at(7))
    assert shown(days) == [("seats", "USD", (0, Decimal(20)), (0, Decimal(20)))]


async def test_usage_stays_in_the_asset_it_was_rated_in_if_the_plan_has_a_price_in_it(market, ask):
    gpu = MetricChanges(code="gpu", aggregation_type="sum_agg", field_name="hours")
    asset = await market.unit("GPU_HOUR")
    dollars = AlternativeChanges(
        asset_code="USD", charge_model="standard", properties={"amount": "3"}
    )
    await sell(
        market,
        gpu,
        hours=[
            charge(
                "gpu",
                "standard",
                {"amount": "1"},
                asset_code="GPU_HOUR",
                alternatives=[dollars],
            )
        ],
        dollars=[charge("gpu", "standard", {"amount": "2.5"})],
    )
    customer = await market.customer("acme")
    await market.story.wallet(customer, "acme", paid(100))
    await market.use("acme", "gpu", at=at(6), hours=4)
    await market.story.wallet(customer, "acme", paid(10), asset=asset)
    await market.use("acme", "gpu", at=at(6), hours=6)
    assert shown(await ask("hours")) == [
        ("gpu", "GPU_HOUR", (1, Decimal(6)), (1, Decimal(6))),
        ("gpu", "USD", (1, Decimal(12)), (1, Decimal(12))),
    ]
    assert shown(await ask("dollars")) == [
        ("gpu", "GPU_HOUR", (1, Decimal(6)), (0, ZERO)),
        ("gpu", "USD", (1, Decimal(12)), (2, Decimal(25))),
    ]


async def test_usage_is_the_metrics_whatever_it_was_called(market, ask):
    """Prices from sums, from events, and of units that stay."""
    fees = MetricChanges(code="fees", aggregation_type="sum_agg", field_name="value")
    seats = MetricChanges(
        code="seats", aggregation_type="sum_agg", field_name="seats", recurring=True
    )
    percentage = charge("fees", "percentage", {"rate": "10", "free_units_per_events": 1})
    tokens, whole = charge("tokens", "standard", {"amount": "1"}), {"amount": "2"}
    staying = charge("seats", "standard", whole)
    await sell(market, TOKENS, fees, seats, old=[tokens, percentage, staying])
    for code, field in (("tokens", "tokens"), ("fees", "value"), ("seats", "seats")):
        await market.use("acme", code, at=at(6, 2), **{field: 100})
    for code in ("tokens", "fees", "seats"):
        async with market.services.changing_catalogue(market.organization_id) as connection:
            renaming = MetricChanges(code=f"new_{code}")
            await billable_metrics.update(
                connection, market.organization_id, code, renaming, now=market.now
            )
    await as_owner(
        market.services.settings,
        "update invoicing.plan_versions set effective_at = "
        "$1::timestamptz + version * interval '1 day' where organization_id = $2",
        at(6, 2),
        market.organization_id,
    )
    await market.services.catalogue_changed(market.organization_id)
    for code, field in (("new_tokens", "tokens"), ("new_fees", "value"), ("new_seats", "seats")):
        await market.use("acme", code, at=at(6, 20), **{field: 10})
    expected = [
        ("new_fees", "USD", (2, Decimal(1)), (2, Decimal(1))),  # the first is free
        ("new_seats", "USD", (2, Decimal(440)), (2, Decimal(440))),  # 110 in June and in July
        ("new_tokens", "USD", (2, Decimal(110)), (2, Decimal(110))),
    ]
    for version in (1, 4):
        assert shown(await ask("old", version=version)) == expected
    july = await ask("old", at(7), at(8))
    assert shown(july) == [("new_seats", "USD", (0, Decimal(220)), (0, Decimal(220)))]


async def test_one_customer_or_one_subscription_can_be_asked_for(market, ask):
    await sell(market, TOKENS, linear=LINEAR)
    await market.customer("bob")
    for external_id in ("bob-1", "bob-2"):
        await market.subscribe("bob", "linear", external_id=external_id, since=at(1))
        await market.use(external_id, "tokens", at=at(6), tokens=100)
    await use_tokens(market)
    every = await ask("linear")
    asked = [(one.external_customer_id, one.external_subscription_id) for one in every.costs]
    assert asked == [("acme", "acme"), ("bob", "bob-1"), ("bob", "bob-2")]
    bob = await ask("linear", external_customer_id="bob")
    assert [one.external_subscription_id for one in bob.costs] == ["bob-1", "bob-2"]
    second = await ask("linear", external_subscription_id="bob-2")
    assert [one.external_subscription_id for one in second.costs] == ["bob-2"]


@pytest.mark.parametrize(
    ("terms", "resource"),
    [
        ({"plan": "nothing"}, "plan"),
        ({"plan": "linear", "version": 2}, "plan_version"),
        ({"plan": "linear", "external_customer_id": "nobody"}, "customer"),
        ({"plan": "linear", "external_subscription_id": "none"}, "subscription"),
    ],
)
async def test_what_nobody_knows_is_not_found(market, ask, terms, resource):
    await sell(market, TOKENS, linear=LINEAR)
    with pytest.raises(NotFound) as refusal:
        await ask(**terms)
    assert refusal.value.resource == resource


async def test_times_are_in_order_and_in_the_past(market, ask):
    await sell(market, TOKENS, linear=LINEAR)
    for start, end in ((at(6), at(6)), (at(7), at(6)), (at(6).replace(year=9000), None)):
        with pytest.raises(Invalid):
            await ask("linear", start, end or at(7).replace(year=9000))


async def test_without_usage_there_is_nothing_to_compare(market, ask):
    await sell(market, TOKENS, linear=LINEAR)
    assert (await ask("linear")).costs == []


async def test_a_plan_compared_with_itself_costs_what_usage_reports_say(market, ask):
    """Every kind of price, over three months: both sides are the period prices, to the digit."""
    await market.unit("GPU_HOUR")
    await market.metrics(*(structs.replace(one) for one in METRICS))
    await market.plan("every", *every_kind())
    await market.customer("acme")
    await market.subscribe("acme", "every", since=at(5, 20))
    for position, (code, properties) in enumerate(USAGE * 3):
        cents = "312.5" if code == "deals" else None
        day = at(5 + position % 3, 21 + position % 7)
        await market.use("acme", code, at=day, cents=cents, **properties)
    found = await ask("every", at(5), at(8))
    assert {cost.code for cost in found.costs} == {code for code, _ in USAGE}
    assert [cost.was for cost in found.costs] == [cost.would_be for cost in found.costs]
    was = {cost.code: cost.was for cost in found.costs}
    assert was == await period_prices(market)
    assert found.unpriced == []


async def period_prices(market: Market) -> dict[str, Decimal]:
    """What May to July cost by metric, as past usage is computed."""
    report = UsageReports(database=market.services.database)
    page = await report.past(
        market.organization_id,
        "acme",
        "acme",
        Wanted(),
        periods_count=None,
        window=Window(size=100),
        now=market.now,
    )
    prices: dict[str, Decimal] = {}
    for past in page.items:
        for one in past.usage.charges if at(5) <= past.bounds.start < at(8) else ():
            code = one.charge.rated.billable_metric_code
            for fee in one.fees:
                prices[code] = EXACT.add(prices.get(code, ZERO), fee.amount)
    return prices
