"""Importing a price list: prices arrive exactly, once, and nothing else moves."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from invoicing import billable_metrics, catalogue_versions, plans
from invoicing.billable_metrics import MetricChanges
from invoicing.charge_changes import ChargeChanges
from invoicing.plans import PlanChanges
from ledger.ids import new_uuid
from rating import RateCard, UnknownPrice, linear
from tests.conftest import Clock
from wallet_service import catalog
from wallet_service.catalog import PLAN_CODE, CatalogConflict, ImportReport, read_price_list
from wallet_service.database import Database

CHEAP = b"""{
    "gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
    "local": {"input_cost_per_token": 0, "output_cost_per_token": 0},
    "dall-e-3": {"output_cost_per_image": 0.04}
}"""
DEARER = b"""{
    "gpt-4o": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1e-05},
    "gpt-5": {"input_cost_per_token": 1.25e-06}
}"""


class Shop:
    """One organization's catalogue."""

    def __init__(self, database: Database, now: datetime) -> None:
        self.database = database
        self.now = now
        self.organization_id: UUID = new_uuid(now)

    async def take(self, content: bytes) -> ImportReport:
        async with self.database.tenant(self.organization_id) as connection:
            return await catalog.import_price_list(
                connection, self.organization_id, read_price_list(content), now=self.now
            )

    async def card(self) -> RateCard:
        async with self.database.tenant(self.organization_id) as connection:
            plan = await plans.get(connection, self.organization_id, PLAN_CODE, now=self.now)
            return await plans.load_rate_card(
                connection, self.organization_id, plan.current_version_id
            )

    async def price(self, code: str, model: str, tokens: int) -> Decimal:
        (line,) = (await self.card()).lines(code, {"model": model, "tokens": tokens})
        return linear(line)


@pytest.fixture
def shop(module_database: Database, clock: Clock) -> Shop:
    return Shop(module_database, clock.now)


async def test_a_list_becomes_metrics_and_a_default_plan(shop: Shop) -> None:
    report = await shop.take(CHEAP)
    assert (report.entries, report.models, len(report.skipped)) == (3, 2, 1)
    assert (report.prices_added, report.free_models) == (4, ("local",))
    assert len(report.metrics_created) == 4
    assert (report.plan_version, report.is_new_version, report.is_default) == (1, True, True)
    assert await shop.price("llm_input_tokens", "gpt-4o", 374) == Decimal("0.000935")
    assert await shop.price("llm_output_tokens", "gpt-4o", 500) == Decimal("0.005")
    assert await shop.price("llm_input_tokens", "local", 10**9) == 0


async def test_a_model_that_is_not_listed_is_not_free(shop: Shop) -> None:
    await shop.take(CHEAP)
    with pytest.raises(UnknownPrice) as refused:
        await shop.price("llm_input_tokens", "gpt-9", 1)
    assert refused.value.field == "model"


async def test_the_same_list_again_changes_nothing(shop: Shop) -> None:
    await shop.take(CHEAP)
    async with shop.database.tenant(shop.organization_id) as connection:
        version = await catalogue_versions.current(connection, shop.organization_id)
    report = await shop.take(CHEAP)
    assert (report.prices_added, report.prices_changed, report.prices_unchanged) == (0, 0, 4)
    assert (report.plan_version, report.is_new_version) == (1, False)
    async with shop.database.tenant(shop.organization_id) as connection:
        assert await catalogue_versions.current(connection, shop.organization_id) == version


async def test_changed_prices_are_one_new_version_and_keep_their_filters(shop: Shop) -> None:
    await shop.take(CHEAP)
    (before,) = (await shop.card()).lines("llm_input_tokens", {"model": "gpt-4o", "tokens": 1})
    report = await shop.take(CHEAP.replace(b"2.5e-06", b"2.6e-06"))
    assert (report.prices_changed, report.prices_unchanged) == (1, 3)
    assert (report.plan_version, report.is_new_version) == (2, True)
    (after,) = (await shop.card()).lines("llm_input_tokens", {"model": "gpt-4o", "tokens": 1})
    assert linear(after) == Decimal("0.0000026")
    assert (after.charge_id, after.filter_id) == (before.charge_id, before.filter_id)


async def test_prices_that_a_list_does_not_name_are_kept(shop: Shop) -> None:
    await shop.take(CHEAP)
    report = await shop.take(DEARER)
    assert (report.prices_added, report.prices_changed) == (1, 1)
    assert (report.prices_unchanged, report.prices_kept) == (1, 2)
    assert await shop.price("llm_input_tokens", "local", 5) == 0
    assert await shop.price("llm_input_tokens", "gpt-4o", 1) == Decimal("0.000003")
    assert await shop.price("llm_input_tokens", "gpt-5", 1) == Decimal("0.00000125")


async def test_other_charges_of_the_plan_are_left_alone(shop: Shop) -> None:
    await shop.take(CHEAP)
    organization_id, now = shop.organization_id, shop.now
    async with shop.database.tenant(organization_id) as connection:
        await billable_metrics.create(
            connection,
            organization_id,
            MetricChanges(code="api_calls", name="API calls", aggregation_type="count_agg"),
            now=now,
        )
        plan = await plans.get(connection, organization_id, PLAN_CODE, now=now)
        own_charge = ChargeChanges(
            billable_metric_code="api_calls",
            charge_model="standard",
            properties={"amount": "0.01"},
        )
        await plans.update(
            connection,
            organization_id,
            PLAN_CODE,
            PlanChanges(name="Our prices"),
            [*(ChargeChanges(id=charge.id) for charge in plan.charges), own_charge],
            now=now,
        )
    await shop.take(DEARER)
    (line,) = (await shop.card()).lines("api_calls", {})
    assert linear(line) == Decimal("0.01")
    async with shop.database.tenant(organization_id) as connection:
        plan = await plans.get(connection, organization_id, PLAN_CODE, now=now)
    assert plan.name == "Our prices"


async def test_an_organization_keeps_the_default_plan_it_has(shop: Shop) -> None:
    async with shop.database.tenant(shop.organization_id) as connection:
        await plans.create(
            connection,
            shop.organization_id,
            PlanChanges(
                code="own",
                name="Own",
                interval="monthly",
                amount_cents=0,
                amount_currency="USD",
                is_default=True,
            ),
            now=shop.now,
        )
    assert not (await shop.take(CHEAP)).is_default
    async with shop.database.tenant(shop.organization_id) as connection:
        default = await plans.find_default(connection, shop.organization_id)
    assert default is not None
    assert default.code == "own"


async def test_a_metric_that_counts_something_else_is_not_taken_over(shop: Shop) -> None:
    async with shop.database.tenant(shop.organization_id) as connection:
        await billable_metrics.create(
            connection,
            shop.organization_id,
            MetricChanges(code="llm_input_tokens", name="Calls", aggregation_type="count_agg"),
            now=shop.now,
        )
    with pytest.raises(CatalogConflict, match="llm_input_tokens"):
        await shop.take(CHEAP)


async def test_a_new_organization_gets_the_well_known_models_once(shop: Shop) -> None:
    async with shop.database.tenant(shop.organization_id) as connection:
        first = await catalog.import_bundled(connection, shop.organization_id, now=shop.now)
        again = await catalog.import_bundled(connection, shop.organization_id, now=shop.now)
    assert first is not None
    assert first.models >= 30
    assert again is None
    cost = await shop.price("llm_input_tokens", "gpt-4o", 374)
    assert cost + await shop.price("llm_output_tokens", "gpt-4o", 500) == Decimal("0.005935")


async def test_an_import_says_how_far_it_is(shop: Shop) -> None:
    steps: list[str] = []
    async with shop.database.tenant(shop.organization_id) as connection:
        await catalog.import_price_list(
            connection,
            shop.organization_id,
            read_price_list(CHEAP),
            now=shop.now,
            on_step=steps.append,
        )
    assert len(steps) == catalog.STEPS
