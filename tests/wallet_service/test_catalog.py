"""Importing a price list: prices arrive exactly, once, and nothing else moves."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from invoicing import billable_metrics, catalogue_versions, plan_versions, plans
from invoicing.billable_metrics import MetricChanges
from invoicing.charge_changes import ChargeChanges
from invoicing.charge_filters import FilterChanges
from invoicing.errors import Invalid
from invoicing.plans import PlanChanges
from ledger.ids import new_uuid
from rating import RateCard, UnknownPrice, linear
from tests.conftest import Clock
from tests.wallet_service.price_lists.books import EXCERPT, WHOLE_FILE
from wallet_service import catalog
from wallet_service.catalog import PLAN_CODE, CatalogConflict, ImportReport, ImportTerms
from wallet_service.database import Database
from wallet_service.price_lists import read_litellm

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

    async def take(self, content: bytes, **terms: Any) -> ImportReport:
        async with self.database.tenant(self.organization_id) as connection:
            return await catalog.import_price_list(
                connection,
                self.organization_id,
                read_litellm(content),
                terms=ImportTerms(**terms),
                now=self.now,
            )

    async def card(self, plan_code: str = PLAN_CODE, at: datetime | None = None) -> RateCard:
        async with self.database.tenant(self.organization_id) as connection:
            plan = await plans.get(connection, self.organization_id, plan_code, now=self.now)
            version = await plans.version_at(
                connection, self.organization_id, plan.id, at or self.now
            )
            return await plan_versions.load_rate_card(connection, self.organization_id, version.id)

    async def versions(self, plan_code: str = PLAN_CODE) -> int:
        async with self.database.tenant(self.organization_id) as connection:
            plan_id = await plans.get_id(connection, self.organization_id, plan_code)
            return len(await plan_versions.in_order(connection, self.organization_id, plan_id))

    async def price(self, code: str, model: str, tokens: int) -> Decimal:
        (line,) = (await self.card()).lines(code, {"model": model, "tokens": tokens})
        return linear(line)


def tallies(report: ImportReport) -> dict[str, int]:
    """How many prices became what."""
    changes = report.changes
    counts = {
        "added": len(changes.added),
        "changed": len(changes.changed),
        "removed": len(changes.removed),
        "unchanged": changes.unchanged,
        "kept": changes.kept,
    }
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
def shop(module_database: Database, clock: Clock) -> Shop:
    return Shop(module_database, clock.now)


async def test_a_list_becomes_metrics_and_a_default_plan(shop: Shop) -> None:
    report = await shop.take(CHEAP)
    assert (report.entries, report.models, len(report.skipped)) == (3, 3, 0)
    assert (report.prices_read, report.prices_skipped) == (5, 0)
    assert (len(report.changes.added), report.free_models) == (5, ("local",))
    assert report.changes.models_added == ("gpt-4o", "local", "dall-e-3")
    assert len(report.metrics_created) == 5
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
    assert tallies(report) == {"unchanged": 5}
    assert (report.plan_version, report.is_new_version) == (1, False)
    async with shop.database.tenant(shop.organization_id) as connection:
        assert await catalogue_versions.current(connection, shop.organization_id) == version


async def test_changed_prices_are_one_new_version_and_keep_their_filters(shop: Shop) -> None:
    await shop.take(CHEAP)
    (before,) = (await shop.card()).lines("llm_input_tokens", {"model": "gpt-4o", "tokens": 1})
    report = await shop.take(CHEAP.replace(b"2.5e-06", b"2.6e-06"))
    assert tallies(report) == {"changed": 1, "unchanged": 4}
    (change,) = report.changes.changed
    assert (change.before, change.after) == (Decimal("0.0000025"), Decimal("0.0000026"))
    assert change.percent == Decimal("4.0")
    assert (report.plan_version, report.is_new_version) == (2, True)
    (after,) = (await shop.card()).lines("llm_input_tokens", {"model": "gpt-4o", "tokens": 1})
    assert linear(after) == Decimal("0.0000026")
    assert (after.charge_id, after.filter_id) == (before.charge_id, before.filter_id)


async def test_prices_that_a_list_does_not_name_are_kept(shop: Shop) -> None:
    await shop.take(CHEAP)
    report = await shop.take(DEARER)
    assert tallies(report) == {"added": 1, "changed": 1, "unchanged": 1, "kept": 3}
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
    price_list = read_litellm(CHEAP)
    async with shop.database.tenant(shop.organization_id) as connection:
        await catalog.import_price_list(
            connection,
            shop.organization_id,
            price_list,
            now=shop.now,
            on_step=steps.append,
        )
    assert len(steps) == catalog.steps(price_list)


async def test_whatever_an_import_changes_is_one_version_of_the_plan(shop: Shop) -> None:
    await shop.take(CHEAP)
    report = await shop.take(EXCERPT.read_bytes())
    assert len(report.changes.added) > 300
    assert (report.plan_version, await shop.versions()) == (2, 2)
    card = await shop.card()
    long = {"model": "gemini-2.5-pro", "tokens": 1000, "context_tokens": 200_001}
    (line,) = card.lines("llm_input_tokens", long)
    assert linear(line) == Decimal("0.0025")


async def test_other_plans_on_the_metrics_take_new_models_over_in_one_version_each(
    shop: Shop,
) -> None:
    await shop.take(CHEAP)
    await shop.take(CHEAP, plan_code="with_margin")
    await shop.take(EXCERPT.read_bytes())
    assert await shop.versions("with_margin") == 2


async def test_a_list_goes_into_the_plan_that_is_named(shop: Shop) -> None:
    await shop.take(CHEAP)
    report = await shop.take(DEARER, plan_code="with_margin")
    assert (report.plan_code, report.plan_version, report.is_default) == ("with_margin", 1, False)
    assert await shop.price("llm_input_tokens", "gpt-4o", 1) == Decimal("0.0000025")
    (line,) = (await shop.card("with_margin")).lines(
        "llm_input_tokens", {"model": "gpt-4o", "tokens": 1}
    )
    assert linear(line) == Decimal("0.000003")


async def test_pruning_takes_away_what_the_list_does_not_name_and_nothing_else(shop: Shop) -> None:
    await shop.take(CHEAP)
    report = await shop.take(DEARER, prune=True)
    assert tallies(report) == {"added": 1, "changed": 1, "unchanged": 1, "removed": 3}
    assert report.changes.models_removed == ("local", "dall-e-3")
    with pytest.raises(UnknownPrice):
        await shop.price("llm_input_tokens", "local", 1)
    assert "llm_output_images" not in (await shop.card()).codes


async def test_what_nobody_agrees_with_changes_nothing(shop: Shop) -> None:
    nothing_yet = await shop.take(CHEAP, agrees=lambda _: False)
    assert (nothing_yet.is_applied, nothing_yet.plan_version) == (False, None)
    assert len(nothing_yet.changes.added) == 5
    await shop.take(CHEAP)
    asked: list[bool] = []
    report = await shop.take(
        DEARER, agrees=lambda changes: asked.append(changes.touch_what_is_there) or False
    )
    assert asked == [True]
    assert tallies(report) == {"added": 1, "changed": 1, "unchanged": 1, "kept": 3}
    assert (report.is_applied, report.is_new_version, await shop.versions()) == (False, False, 1)
    assert await shop.price("llm_input_tokens", "gpt-4o", 1) == Decimal("0.0000025")


async def test_prices_may_wait_for_their_time(shop: Shop) -> None:
    await shop.take(CHEAP)
    new_year = shop.now + timedelta(days=30)
    report = await shop.take(DEARER, effective_at=new_year)
    assert (report.is_applied, report.plan_version) == (True, 1)
    assert await shop.price("llm_input_tokens", "gpt-4o", 1) == Decimal("0.0000025")
    (line,) = (await shop.card(at=new_year)).lines(
        "llm_input_tokens", {"model": "gpt-4o", "tokens": 1}
    )
    assert linear(line) == Decimal("0.000003")
    again = await shop.take(DEARER, effective_at=new_year)
    assert tallies(again) == {"unchanged": 3, "kept": 3}
    assert not again.is_new_version


async def test_the_time_that_prices_wait_for_is_not_gone_by(shop: Shop) -> None:
    await shop.take(CHEAP)
    with pytest.raises(Invalid) as refused:
        await shop.take(DEARER, effective_at=shop.now - timedelta(days=1))
    assert "effective_at" in refused.value.details


async def test_a_charge_that_is_no_plain_price_in_dollars_is_not_taken_over(shop: Shop) -> None:
    await shop.take(CHEAP)
    async with shop.database.tenant(shop.organization_id) as connection:
        plan = await plans.get(connection, shop.organization_id, PLAN_CODE, now=shop.now)
        packages = ChargeChanges(
            id=plan.charges[0].id,
            charge_model="package",
            properties={"amount": "1", "package_size": 1000},
        )
        await plans.update(
            connection,
            shop.organization_id,
            PLAN_CODE,
            PlanChanges(),
            [packages, *(ChargeChanges(id=charge.id) for charge in plan.charges[1:])],
            now=shop.now,
        )
    with pytest.raises(CatalogConflict, match="llm_input_tokens"):
        await shop.take(DEARER)


async def test_a_filter_of_somebodys_own_is_kept_even_when_pruning(shop: Shop) -> None:
    await shop.take(CHEAP)
    async with shop.database.tenant(shop.organization_id) as connection:
        plan = await plans.get(connection, shop.organization_id, PLAN_CODE, now=shop.now)
        charge = next(each for each in plan.charges if each.code == "llm_input_tokens")
        both = FilterChanges(values={"model": ["gpt-4o", "local"]}, properties={"amount": "7"})
        kept = [
            FilterChanges(values=entry.values, properties=entry.properties)
            for entry in charge.filters
        ]
        wanted = [
            ChargeChanges(id=each.id, filters=[both, *kept])
            if each.id == charge.id
            else ChargeChanges(id=each.id)
            for each in plan.charges
        ]
        await plans.update(
            connection, shop.organization_id, PLAN_CODE, PlanChanges(), wanted, now=shop.now
        )
    assert await shop.price("llm_input_tokens", "local", 1) == 7
    await shop.take(DEARER, prune=True)
    assert await shop.price("llm_input_tokens", "local", 1) == 7


@pytest.mark.skipif(not WHOLE_FILE.exists(), reason="LiteLLM's whole price file is not here")
async def test_the_whole_file_becomes_one_plan_twice_the_same(shop: Shop) -> None:
    first = await shop.take(WHOLE_FILE.read_bytes())
    assert len(first.changes.added) == 18_445
    again = await shop.take(WHOLE_FILE.read_bytes())
    assert tallies(again) == {"unchanged": 18_445}
    assert await shop.versions() == 1
