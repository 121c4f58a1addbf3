"""Rollups and what is newer say the same as the events themselves, whatever is folded when."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from invoicing import events, usage_rollups
from invoicing.events import Event
from invoicing.usage_rollups import BEGINNING, Fold, StartKey, StoredUsage, UsageKey
from rating.summaries import NOTHING, Summary, merge_all
from tests.conftest import Clock
from tests.invoicing.meter import (
    APRIL,
    CHARGE,
    FILTER,
    MARCH,
    NEXT_VERSION,
    OTHER,
    SEATS,
    VERSION,
    Meter,
)
from wallet_service.database import Database


@pytest.fixture
async def meter(module_database: Database, clock: Clock) -> AsyncIterator[Meter]:
    meter = Meter(module_database, clock)
    yield meter
    await meter.fold_all()


def only(found: dict[UsageKey, StoredUsage]) -> Summary:
    """The sums of the one key there is."""
    (usage,) = found.values()
    return merge_all(usage.summaries.values())


def by_events(usage: StoredUsage) -> StoredUsage:
    """What can be told from the events alone, and nothing of what cannot be taken out again."""
    cut = {"max_units": None, "last_units": None, "last_at": None, "last_order": 0}

    def plain(summary: Summary) -> Summary:
        return structs.replace(summary, **cut) if usage.reversals else summary

    return StoredUsage(
        summaries={at: plain(one) for at, one in usage.summaries.items() if one.events},
        presented={by: plain(one) for by, one in usage.presented.items() if one.events},
        exact=usage.exact,
        debited_minor=usage.debited_minor,
    )


async def assert_same(meter: Meter, start: datetime, end: datetime) -> None:
    read, recomputed = await meter.read(start, end), await meter.recompute(start, end)
    for key in read.keys() | recomputed.keys():
        usage = read.get(key, StoredUsage())
        truth = recomputed.get(key, StoredUsage())
        truth.reversals = usage.reversals
        assert by_events(usage) == by_events(truth), key
        if usage.is_sure_of_members:
            assert usage.members == truth.members, key


def anything(meter: Meter, rng: random.Random) -> Event:
    """An event of any of the charges, in any of three months."""
    at = MARCH + timedelta(seconds=rng.randrange(-30 * 86_400, 60 * 86_400))
    charge = rng.choice((CHARGE, SEATS, OTHER))
    units = Decimal(rng.randrange(-500, 5000)).scaleb(-rng.randrange(4))
    line: dict[str, Any] = {
        "charge_id": str(charge),
        "filter_id": rng.choice((None, str(FILTER))),
        "units": str(units),
        "exact": str(units * Decimal("0.000000000125")),
        "amount_minor": rng.randrange(1000),
    }
    if charge == SEATS:
        line |= {"units": "1", "member": f"seat-{rng.randrange(6)}", "removes": rng.random() < 0.4}
    if charge == OTHER:
        line["group"] = rng.choice(("", '{"region":"eu"}', '{"region":null}'))
        line["presentation"] = rng.choice(("", '{"team":"a"}', '{"team":"b"}'))
        line["precise_amount_cents"] = str(units * 3)
    status = rng.choice(("rated", "rated", "postpaid"))
    version = rng.choice((VERSION, NEXT_VERSION))
    return meter.event(at, status=status, plan_version_id=version, line=line)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_reading_is_the_recomputation(meter: Meter, seed: int) -> None:
    rng = random.Random(seed)
    stored: list[Event] = []
    unrated: list[Event] = []
    for _ in range(14):
        chance = rng.random()
        if chance < 0.5:
            fresh = [anything(meter, rng) for _ in range(rng.randrange(1, 30))]
            late, stored_now = fresh[:1], fresh[1:]
            await meter.store(*stored_now)
            await meter.store(
                *(structs.replace(one, rating_status="unrated", lines="[]") for one in late)
            )
            stored, unrated = stored + stored_now, unrated + late
        elif chance < 0.65 and unrated:
            await meter.rate_late(unrated.pop())
        elif chance < 0.75 and stored:
            await meter.store(meter.reversal(stored.pop(rng.randrange(len(stored)))))
        else:
            await meter.fold(events_max=rng.choice((1, 10, 1000)))
        await assert_same(meter, MARCH, APRIL)
    for _ in range(6):
        start = MARCH + timedelta(seconds=rng.randrange(-40 * 86_400, 40 * 86_400))
        await assert_same(meter, start, start + timedelta(seconds=rng.randrange(1, 50 * 86_400)))
    await assert_same(meter, BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))
    await meter.fold_all()
    await assert_same(meter, BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))


async def test_an_event_that_is_committed_late_is_not_passed_over(meter: Meter) -> None:
    async with meter.database.committer.acquire() as connection:
        slow = connection.transaction()
        await slow.start()
        await events.insert_many(connection, [meter.event(line={"units": "5"})])
        await meter.store(meter.event(line={"units": "2"}))
        assert (await meter.fold()).lines == 0  # a row below might still come
        assert only(await meter.read()).units == 2
        await slow.commit()
    assert only(await meter.read()).units == 7
    assert (await meter.fold()).lines == 2
    assert only(await meter.read()).units == 7


async def test_folding_goes_by_portions_of_whole_transactions(meter: Meter) -> None:
    for count in (3, 1, 1, 1):
        await meter.store(*(meter.event() for _ in range(count)))
    folds = [await meter.fold(events_max=2) for _ in range(3)]
    assert [fold.lines for fold in folds] == [3, 2, 1]
    assert [fold.has_more for fold in folds] == [True, True, False]
    assert (await meter.fold()).lines == 0


async def test_two_who_fold_at_once_count_nothing_twice(meter: Meter) -> None:
    await meter.store(meter.event())
    async with meter.database.worker.acquire() as connection, connection.transaction():
        first = await usage_rollups.fold(connection, events_max=10)
        assert await meter.fold() == Fold(0, has_more=False)
    assert first.lines == 1
    assert only(await meter.read()).events == 1


async def test_the_lag_is_the_age_of_the_oldest_event_that_is_not_folded(
    meter: Meter, module_database: Database
) -> None:
    await meter.fold_all()
    assert await meter.lag_s() == 0
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await meter.store(structs.replace(meter.event(), created_at=hour_ago))
    assert 3600 <= await meter.lag_s() < 3700
    await meter.fold_all()
    assert await meter.lag_s() == 0


async def test_an_event_without_price_or_subscription_is_no_usage(meter: Meter) -> None:
    await meter.store(
        meter.event(status="unrated"),
        meter.event(subscription_id=None),
        meter.event(line={"charge_id": None}),
    )
    assert await meter.read() == {}
    await meter.fold_all()
    assert await meter.read() == {}


async def test_only_prepaid_usage_counts_as_debited(meter: Meter) -> None:
    line = {"units": "2", "exact": "0.0000000015", "amount_minor": 2}
    await meter.store(meter.event(line=line), meter.event(status="postpaid", line=line))
    for _ in range(2):
        (usage,) = (await meter.read()).values()
        assert (usage.exact, usage.debited_minor) == (Decimal("0.000000003"), 2)
        await meter.fold_all()


async def test_charges_can_be_asked_for_by_themselves(meter: Meter) -> None:
    await meter.store(meter.event(), meter.event(line={"charge_id": str(OTHER)}))
    for _ in range(2):
        found = await meter.read(charge_ids=[OTHER])
        assert [key.charge_id for key in found] == [OTHER]
        assert await meter.read(charge_ids=[]) == {}
        await meter.fold_all()


async def test_another_organization_sees_nothing_of_it(meter: Meter, clock: Clock) -> None:
    await meter.store(meter.event(), meter.event())
    await meter.fold_all()
    await meter.store(meter.event())
    stranger = Meter(meter.database, clock)
    async with meter.database.tenant(stranger.organization_id) as connection:
        found = await usage_rollups.read(
            connection, meter.organization_id, meter.subscription_id, start=MARCH, end=APRIL
        )
        rows = await connection.fetchval("select count(*) from invoicing.usage_rollups")
        keys = await connection.fetchval("select count(*) from invoicing.usage_keys")
    assert (found, rows, keys) == ({}, 0, 0)


# -- unique counts


def seat(name: str, *, removes: bool = False) -> dict[str, Any]:
    return {"charge_id": str(SEATS), "member": name, "removes": removes}


async def members(meter: Meter, start: datetime, end: datetime) -> int | None:
    """How many there are at the end, None where the last operations cannot tell."""
    (usage,) = (await meter.read(start, end)).values()
    return usage.members if usage.is_sure_of_members else None


async def test_a_member_is_counted_in_the_period_of_its_last_operation(meter: Meter) -> None:
    may = datetime(2026, 5, 1, tzinfo=UTC)
    await meter.store(
        meter.event(MARCH, line=seat("ada")),
        meter.event(MARCH, line=seat("bob")),
        meter.event(MARCH + timedelta(days=3), line=seat("bob", removes=True)),
        meter.event(APRIL, line=seat("ada")),
        meter.event(APRIL, line=seat("cyd")),
    )
    for _ in range(2):
        assert await members(meter, APRIL, may) == 2
        assert await members(meter, BEGINNING, may) == 2
        assert await members(meter, MARCH, APRIL) is None  # ada has come again since
        await meter.fold_all()


async def test_newer_operations_move_the_members_that_are_folded(meter: Meter) -> None:
    await meter.store(*(meter.event(line=seat(name)) for name in ("ada", "bob", "cyd")))
    await meter.fold_all()
    later = MARCH + timedelta(days=1)
    await meter.store(
        meter.event(later, line=seat("ada", removes=True)),
        meter.event(later, line=seat("bob")),
        meter.event(later, line=seat("dan")),
        meter.event(MARCH - timedelta(hours=1), line=seat("cyd", removes=True)),
    )
    assert await members(meter, MARCH, APRIL) == 3
    await meter.fold_all()
    assert await members(meter, MARCH, APRIL) == 3


# -- where running totals start


async def start(meter: Meter, *keys: StartKey) -> Sequence[tuple[int, Decimal]]:
    async with meter.database.committer.acquire() as connection:
        found = await usage_rollups.start_totals(connection, keys)
    return [(found[key].events, found[key].units) for key in keys if key in found]


def start_key(meter: Meter, **fields: Any) -> StartKey:
    known = {
        "organization_id": meter.organization_id,
        "subscription_id": meter.subscription_id,
        "charge_id": CHARGE,
        "filter_id": None,
        "group": "",
        "period_start": MARCH,
        "period_end": APRIL,
    }
    return StartKey(**known | fields)


async def test_running_totals_start_from_what_is_stored_of_their_period(meter: Meter) -> None:
    grouped = {"group": '{"region":"eu"}', "presentation": '{"team":"a"}', "units": "7"}
    of_group = start_key(meter, group=grouped["group"])
    plain, empty = start_key(meter), start_key(meter, charge_id=OTHER)
    before = start_key(meter, period_start=MARCH - timedelta(days=28), period_end=MARCH)
    assert await start(meter, plain, empty) == []
    await meter.store(
        meter.event(MARCH - timedelta(microseconds=1), line={"units": "100"}),
        meter.event(MARCH, line={"units": "3"}),
        meter.event(MARCH, line=grouped),
    )
    await meter.fold_all()
    await meter.store(meter.event(APRIL - timedelta(seconds=1), line={"units": "4"}))
    assert await start(meter, plain, empty, of_group, before) == [(2, 7), (1, 7), (1, 100)]


async def test_running_totals_that_start_nowhere_ask_for_nothing() -> None:
    assert await usage_rollups.start_totals(None, []) == {}  # pyright: ignore[reportArgumentType]


def test_nothing_is_the_summary_of_nothing() -> None:
    assert merge_all([]) == NOTHING
