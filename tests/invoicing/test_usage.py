"""What a period costs as it is read, is what its events cost one by one."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct, structs

from invoicing import billable_metrics, plans, usage, usage_pricing
from invoicing.billable_metrics import MetricChanges
from invoicing.charge_changes import ChargeChanges
from invoicing.errors import NotAllowed
from invoicing.events import Event
from invoicing.periods import Bounds
from invoicing.plans import PlanChanges
from invoicing.usage import PeriodUsage, Question, Wanted, rate_period
from invoicing.usage_versions import PricedVersion, Versions
from rating import ZERO_TOTAL
from rating.charge_models import Dynamic, Percentage
from rating.events import Event as RatedEvent
from rating.period import Period
from rating.period_rating import Usage, rate_events
from rating.terms import Price, Terms
from tests.conftest import Clock
from tests.invoicing.meter import APRIL, MARCH, Meter
from wallet_service.database import Database

BOUNDS = Bounds(MARCH, APRIL)
PERIOD = Period(start=MARCH, end=APRIL)


def graduated(first: str, second: str) -> dict[str, Any]:
    return {
        "graduated_ranges": [
            {"from_value": 0, "to_value": 9, "per_unit_amount": first, "flat_amount": "1"},
            {"from_value": 10, "to_value": None, "per_unit_amount": second, "flat_amount": "2"},
        ]
    }


CHARGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sum": ({}, {"charge_model": "standard", "properties": {"amount": "0.0000015"}}),
    "tiers": ({}, {"charge_model": "graduated", "properties": graduated("2", "1")}),
    "grouped": (
        {},
        {
            "charge_model": "package",
            "properties": {
                "amount": "3",
                "package_size": 4,
                "pricing_group_keys": ["region"],
                "presentation_group_keys": [{"value": "team"}],
            },
        },
    ),
    "free_events": (
        {"aggregation_type": "count_agg", "field_name": None},
        {
            "charge_model": "percentage",
            "properties": {"rate": "5", "fixed_amount": "1", "free_units_per_events": 3},
        },
    ),
    "free_units": (
        {},
        {
            "charge_model": "percentage",
            "properties": {
                "rate": "5",
                "fixed_amount": "1",
                "free_units_per_total_aggregation": "20",
            },
        },
    ),
    "bounded": (
        {},
        {
            "charge_model": "percentage",
            "properties": {
                "rate": "5",
                "per_transaction_min_amount": "0.2",
                "per_transaction_max_amount": "0.4",
            },
        },
    ),
    "free_and_bounded": (
        {},
        {
            "charge_model": "percentage",
            "properties": {
                "rate": "5",
                "free_units_per_events": 2,
                "per_transaction_max_amount": "0.4",
            },
        },
    ),
    "in_advance": (
        {},
        {
            "charge_model": "graduated",
            "properties": graduated("2", "1"),
            "pay_in_advance": True,
        },
    ),
    "max": (
        {"aggregation_type": "max_agg"},
        {"charge_model": "standard", "properties": {"amount": "2"}},
    ),
    "latest": (
        {"aggregation_type": "latest_agg"},
        {"charge_model": "standard", "properties": {"amount": "2"}},
    ),
    "weighted": (
        {"aggregation_type": "weighted_sum_agg", "weighted_interval": "seconds"},
        {"charge_model": "standard", "properties": {"amount": "2"}},
    ),
    "storage": (
        {
            "aggregation_type": "weighted_sum_agg",
            "weighted_interval": "seconds",
            "recurring": True,
        },
        {"charge_model": "graduated", "properties": graduated("2", "1")},
    ),
    "users": (
        {"aggregation_type": "unique_count_agg"},
        {"charge_model": "standard", "properties": {"amount": "2"}},
    ),
    "seats": (
        {"aggregation_type": "unique_count_agg", "recurring": True},
        {"charge_model": "standard", "properties": {"amount": "2"}},
    ),
    "seat_days": (
        {"recurring": True},
        {"charge_model": "standard", "properties": {"amount": "2"}, "prorated": True},
    ),
    "dynamic": ({}, {"charge_model": "dynamic", "properties": {}}),
    "rounded": (
        {"rounding_function": "ceil", "rounding_precision": -1},
        {"charge_model": "standard", "properties": {"amount": "2"}},
    ),
}


class Counter(Struct):
    """A subscription to a plan with two versions, and the usage that was stored of it."""

    meter: Meter
    plan_id: UUID
    versions: list[PricedVersion]
    stored: list[tuple[Event, RatedEvent, str, str]]
    """Each with what it means to rating, its metric and its group."""
    versions_used: int = 2

    async def store(self, rng: random.Random, at: datetime, code: str | None = None) -> None:
        """An event of some charge."""
        code = code or rng.choice(list(CHARGES))
        version = rng.choice(self.versions[: self.versions_used])
        charge = next(one for one in version.charges if one.listed.code == code).rated
        counts = charge.aggregation in {"count_agg", "unique_count_agg"}
        units = Decimal(1) if counts else Decimal(rng.randrange(-20, 80)).scaleb(-1)
        rated = RatedEvent(
            timestamp=at,
            units=units,
            plan_version_id=version.id,
            member=rng.choice("abcd") if charge.aggregation == "unique_count_agg" else None,
            removes=charge.aggregation == "unique_count_agg" and rng.random() < 0.3,
            precise_amount_cents=units * 7 if code == "dynamic" else None,
        )
        group = rng.choice(('{"region":"eu"}', '{"region":"us"}')) if code == "grouped" else ""
        line: dict[str, Any] = {
            "charge_id": str(charge.id),
            "units": str(units),
            "group": group,
            "exact": "0",
        }
        if isinstance(charge.model, Percentage):
            alone = charge.model.add(ZERO_TOTAL, units)
            line["exact"] = str(alone.amount)
        if isinstance(charge.model, Dynamic):
            line["precise_amount_cents"] = str(rated.precise_amount_cents)
        if code == "grouped":
            line["presentation"] = rng.choice(('{"team":"a"}', '{"team":"b"}'))
        if rated.member:
            line |= {"member": rated.member, "removes": rated.removes}
        event = self.meter.event(at, line=line, plan_version_id=version.id, code=code)
        await self.meter.store(event)
        self.stored.append((event, structs.replace(rated, order=event.id.int), code, group))

    async def reverse(self, rng: random.Random) -> None:
        """One of the events is taken back."""
        event, *_ = self.stored.pop(rng.randrange(len(self.stored)))
        await self.meter.store(self.meter.reversal(event))

    async def rate(
        self,
        wanted: Wanted = Wanted(),  # noqa: B008 (frozen)
        *,
        events_max: int = usage.EVENTS_MAX,
    ) -> PeriodUsage:
        meter = self.meter
        question = Question(
            organization_id=meter.organization_id,
            subscription_id=meter.subscription_id,
            plan_id=self.plan_id,
            bounds=BOUNDS,
            period=PERIOD,
            as_of=APRIL,
            events_max=events_max,
        )
        async with meter.database.tenant(meter.organization_id) as connection:
            return await rate_period(connection, Versions(), question, wanted)

    def expected(self, code: str, group: str) -> Usage | None:
        """The definition: all events of a price, rated one by one. None where there are none."""
        events = [rated for _, rated, *key in self.stored if key == [code, group]]
        used = {one.plan_version_id for one in events if PERIOD.holds(one.timestamp)}
        versions = [one for one in self.versions if one.id in used] or self.versions[:1]
        charges = [
            next(charge.rated for charge in version.charges if charge.listed.code == code)
            for version in versions
        ]
        prices = [
            Price(version.id, charge.model)
            for version, charge in zip(versions, charges, strict=True)
            if charge.model is not None
        ]
        is_there = used or (charges[-1].recurring and any(one.timestamp < MARCH for one in events))
        return rate_events(Terms.of(charges[-1], prices), events, PERIOD) if is_there else None

    async def assert_right(self) -> None:
        found = await self.rate()
        for charge in found.charges:
            code = charge.charge.listed.code
            groups = {group for *_, known, group in self.stored if known == code}
            expected = {group: rated for group in groups if (rated := self.expected(code, group))}
            assert {fee.group: fee.usage for fee in charge.fees} == expected, code


@pytest.fixture
async def counter(module_database: Database, clock: Clock) -> AsyncIterator[Counter]:
    """A subscription to all these charges; the first prices are in force when March begins."""
    meter = Meter(module_database, clock)
    place = meter.organization_id
    ids: list[UUID] = []
    async with module_database.tenant(place) as connection:
        for code, (metric, _) in CHARGES.items():
            terms = {"aggregation_type": "sum_agg", "field_name": "n"} | metric
            changes = MetricChanges(code=code, name=code, **terms)
            await billable_metrics.create(connection, place, changes, now=MARCH)
        charges = [
            ChargeChanges(billable_metric_code=code, code=code, **charge)
            for code, (_, charge) in CHARGES.items()
        ]
        plan = PlanChanges(
            code="plan", name="Plan", interval="monthly", amount_cents=0, amount_currency="USD"
        )
        first = await plans.create(connection, place, plan, charges, now=MARCH)
        ids.append(first.current_version_id)
        dearer = [
            structs.replace(charge, properties={"amount": "3"})
            if charge.charge_model == "standard"
            else charge
            for charge in charges
        ]
        later = MARCH + timedelta(days=10)
        second = await plans.update(connection, place, "plan", PlanChanges(), dearer, now=later)
        ids.append(second.current_version_id)
        loaded = await Versions().load(connection, place, ids)
    yield Counter(meter, first.id, [loaded[one] for one in ids], [])
    await meter.fold_all()


@pytest.mark.parametrize("seed", range(6))
async def test_every_price_is_that_of_its_events(counter: Counter, seed: int) -> None:
    rng = random.Random(seed)
    for step in range(120):
        at = MARCH + timedelta(seconds=rng.randrange(-20 * 86_400, 40 * 86_400))
        if rng.random() < 0.93 or not counter.stored:
            await counter.store(rng, at)
        else:
            await counter.reverse(rng)
        if step % 30 == 29:
            await counter.assert_right()
            await counter.meter.fold_all()
            await counter.assert_right()


async def test_the_ordinary_running_period_is_told_from_sums(counter: Counter) -> None:
    """No event of March is read for a price that sums can tell."""
    counter.versions_used = 1
    rng = random.Random(1)
    for code in CHARGES:
        for day in (1, 2, 3):
            await counter.store(rng, MARCH + timedelta(days=day), code)
    assert all(charge.fees for charge in (await counter.rate()).charges)
    for code in CHARGES:
        wanted = Wanted(charge_code=code)
        if code in {"free_and_bounded", "seat_days"}:
            with pytest.raises(NotAllowed) as refused:
                await counter.rate(wanted, events_max=0)
            assert refused.value.code == "too_many_events"
        elif code not in {"in_advance", "users", "seats"}:  # corrections may need all events
            await counter.rate(wanted, events_max=0)


async def test_many_events_are_rated_beside_the_loop(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_pricing, "_AT_ONCE_MAX", 2)
    rng = random.Random(2)
    for hour in range(9):
        await counter.store(rng, MARCH + timedelta(hours=hour), "free_and_bounded")
    await counter.assert_right()


@pytest.mark.parametrize("code", ["free_units", "free_and_bounded"])
async def test_events_are_found_under_the_name_that_their_metric_had(
    counter: Counter, code: str
) -> None:
    """A metric may be renamed; its charge stays, and so does the code of its events."""
    rng = random.Random(5)
    for hour in range(4):
        await counter.store(rng, MARCH + timedelta(hours=hour), code)
    meter = counter.meter
    async with meter.database.tenant(meter.organization_id) as connection:
        now = MARCH + timedelta(days=12)
        renaming = MetricChanges(code="renamed")
        await billable_metrics.update(connection, meter.organization_id, code, renaming, now=now)
        plan = await plans.get(connection, meter.organization_id, "plan", now=now)
        loaded = await Versions().load(connection, meter.organization_id, [plan.current_version_id])
    counter.versions.append(loaded[plan.current_version_id])
    await counter.assert_right()
    renamed = counter.meter.event(
        MARCH + timedelta(days=13),
        code="renamed",
        plan_version_id=plan.current_version_id,
        line={
            "charge_id": next(
                str(charge.listed.id)
                for charge in counter.versions[-1].charges
                if charge.listed.code == code
            ),
            "units": "50",
        },
    )
    await counter.meter.store(renamed)
    rated = RatedEvent(
        timestamp=renamed.timestamp,
        units=Decimal(50),
        order=renamed.id.int,
        plan_version_id=plan.current_version_id,
    )
    counter.stored.append((renamed, rated, code, ""))
    await counter.assert_right()


async def test_a_group_can_be_asked_for(counter: Counter) -> None:
    rng = random.Random(3)
    for hour in range(9):
        await counter.store(rng, MARCH + timedelta(hours=hour), "grouped")
    found = await counter.rate(Wanted(group={"region": "eu"}))
    (charge,) = found.charges  # no other charge has regions
    assert [fee.group for fee in charge.fees] == ['{"region":"eu"}']
    assert (await counter.rate(Wanted(group={"region": "mars"}))).charges[0].fees == ()


async def test_a_period_without_usage_has_charges_and_no_fees(counter: Counter) -> None:
    found = await counter.rate()
    assert [charge.charge.listed.code for charge in found.charges] == list(CHARGES)
    assert not any(charge.fees for charge in found.charges)


async def test_what_nobody_measures_any_more_is_still_priced(counter: Counter) -> None:
    """A charge that the plan has dropped since is listed for the usage that it had."""
    rng = random.Random(4)
    await counter.store(rng, MARCH + timedelta(days=1), "sum")
    meter = counter.meter
    async with meter.database.tenant(meter.organization_id) as connection:
        await plans.update(
            connection,
            meter.organization_id,
            "plan",
            PlanChanges(),
            [],
            now=datetime(2026, 3, 20, tzinfo=UTC),
        )
    (charge,) = (await counter.rate()).charges
    assert charge.charge.listed.code == "sum"
