"""What periods cost: Lago's worked numbers, and what is our own."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from ledger.money import Rounding, to_minor
from rating import ChargeModel, Terms, rate_summaries, summarize
from rating.charge_models import read_model
from rating.events import Event
from rating.period_rating import rate_events
from tests.rating.metering import (
    added,
    graduated,
    period,
    removed,
    standard,
    terms,
    used,
    volume,
)


def cents(amount: Decimal) -> int:
    return to_minor(amount, 2, Rounding.HALF_AWAY)


AUGUST = period("2023-08-01", "2023-09-01")
SEPTEMBER = period("2023-09-01", "2023-10-01")
OCTOBER = period("2023-10-01", "2023-11-01")
PAGEVIEWS = [used("2023-08-03", 10, member="ada"), used("2023-08-04", 20, member="ada")]


@pytest.mark.parametrize(
    ("aggregation", "units"), [("count_agg", 2), ("sum_agg", 30), ("max_agg", 20)]
)
def test_two_events_of_one_user_are_counted_summed_and_compared(
    aggregation: str, units: int
) -> None:
    # lago-docs: aggregation-examples.md. Counted events are one unit each.
    events = PAGEVIEWS if aggregation != "count_agg" else [used("2023-08-03"), used("2023-08-04")]
    usage = rate_events(terms(aggregation, standard()), events, AUGUST)
    assert (usage.events, usage.units, usage.amount) == (2, units, units)


def test_two_events_of_one_user_are_one_user() -> None:
    # lago-docs: aggregation-examples.md
    usage = rate_events(terms("unique_count_agg", standard()), PAGEVIEWS, AUGUST)
    assert (usage.events, usage.units) == (2, 1)


def test_a_weighted_sum_counts_the_seconds_of_each_level() -> None:
    # spec/services/billable_metrics/aggregations/weighted_sum_service_spec.rb
    events = [
        used("2023-08-01T00:00", 2),
        used("2023-08-01T01:00", 3),
        used("2023-08-01T01:30", 1),
        used("2023-08-01T02:00", -4),
        used("2023-08-01T04:00", -2),
        used("2023-08-01T05:00", 10),
        used("2023-08-01T05:30", -10),
    ]
    usage = rate_events(terms("weighted_sum_agg", standard()), events, AUGUST)
    assert round(usage.units, 5) == Decimal("0.02218")
    assert usage.units == Decimal("0.02217741935483870968")  # up, at twenty digits
    assert usage.total_units == 0


def test_a_recurring_weighted_sum_goes_on_from_the_period_before() -> None:
    # spec/scenarios/current_usage/by_aggregation_type/weighted_sum_agg_spec.rb
    weighted = terms("weighted_sum_agg", standard(), recurring=True)
    events = [used("2023-03-05", 2500), used("2023-04-04", -2000), used("2023-04-06", -200)]
    march = rate_events(weighted, events, period("2023-03-05", "2023-04-01", full_days=31))
    assert str(march.units).startswith("2177.419354838")
    assert (cents(march.amount), march.events, march.total_units) == (217_742, 1, 2500)
    april = rate_events(weighted, events, period("2023-04-01", "2023-05-01"))
    assert str(april.units).startswith("533.3333")
    assert (cents(april.amount), april.events, april.total_units) == (53_333, 2, 300)


GRADES = graduated((0, 5, 10, 100), (6, 15, 5, 50), (16, None, 2, 0))
SEATS = [
    used("2023-09-10", 2),
    used("2023-09-16", 5),
    used("2023-09-20", -6),
    used("2023-09-25", 10),
    used("2023-09-26", 4),
    used("2023-09-30", 60),
]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, 11400), (2, 18400), (3, 16567), (4, 17967), (5, 18300), (6, 18700)],
)
def test_prorated_graduated_prices_walk_the_ranges(count: int, expected: int) -> None:
    # spec/scenarios/current_usage/by_charge_model/prorated_graduated_spec.rb
    prorated = terms("sum_agg", GRADES, recurring=True, prorated=True)
    usage = rate_events(prorated, SEATS[:count], SEPTEMBER)
    assert cents(usage.amount) == expected
    assert usage.total_units == sum(event.units for event in SEATS[:count])


def test_what_was_there_all_the_period_pays_in_full() -> None:
    # spec/scenarios/current_usage/by_charge_model/prorated_graduated_spec.rb
    prorated = terms("sum_agg", GRADES, recurring=True, prorated=True)
    assert rate_events(prorated, SEATS, OCTOBER).amount == 370
    more = [*SEATS, used("2023-10-17", 20)]
    assert cents(rate_events(prorated, more, OCTOBER).amount) == 38935


def test_a_period_that_ends_early_has_the_days_until_then() -> None:
    # lago.md §8 (12), the terminated case: 2.58. Its events are not told; ten for 8 days of 31 are.
    ended = period("2023-10-01", "2023-10-09", full_days=31)
    ten_each = graduated((0, 5, 10, 0), (6, None, 5, 0))
    prorated = terms("sum_agg", ten_each, recurring=True, prorated=True)
    assert cents(rate_events(prorated, [used("2023-10-01", 1)], ended).amount) == 258
    assert cents(rate_events(prorated, [used("2023-09-01", 1)], ended).amount) == 258
    # The last two days of it alone, with the flat amounts paid in full.
    prorated = terms("sum_agg", GRADES, recurring=True, prorated=True)
    usage = rate_events(prorated, [used("2023-10-07", 6)], ended)
    assert cents(usage.amount) == round((50 + 5) * 200 / 31) + 15_000


def test_prorated_volume_prices_take_the_range_of_the_full_units() -> None:
    # spec/services/charge_models/volume_service_spec.rb: 198.6 of 300 units → 149.3
    rates = volume((0, 100, 2, 10), (101, 200, 1, 0), (201, None, "0.5", 50))
    prorated = terms("sum_agg", rates, recurring=True, prorated=True)
    thousand_days = period("2020-01-01", "2022-09-27")
    assert thousand_days.days == 1000
    usage = rate_events(prorated, [used("2020-12-03", 300)], thousand_days)
    assert (usage.units, usage.total_units) == (Decimal("198.9"), 300)
    usage = rate_events(prorated, [used("2020-12-04", 300)], thousand_days)
    assert (usage.units, usage.amount) == (Decimal("198.6"), Decimal("149.3"))


ADVANCE = terms("sum_agg", standard("30.12"), recurring=True, prorated=True, pay_in_advance=True)


@pytest.mark.parametrize(
    ("day", "expected"), [("2024-06-11", 2008), ("2024-06-12", 1908), ("2024-06-13", 1807)]
)
def test_a_unit_in_advance_pays_for_the_days_that_are_left(day: str, expected: int) -> None:
    # spec/scenarios/invoices/advance_charges_spec.rb
    june = period("2024-06-01", "2024-07-01")
    assert cents(rate_events(ADVANCE, [used(f"{day}T10:00")], june).amount) == expected


def test_fees_in_advance_are_rounded_one_by_one() -> None:
    # spec/scenarios/invoices/advance_charges_spec.rb: the three together are 5723 cents
    june = period("2024-06-01", "2024-07-01")
    events = [used("2024-06-11T10:00"), used("2024-06-12T10:00"), used("2024-06-13T10:00")]
    assert cents(rate_events(ADVANCE, events, june).amount) == 5723


def test_a_seat_in_advance_stays_paid_when_it_is_removed() -> None:
    # spec/scenarios/current_usage/by_aggregation_type/unique_count_agg_spec.rb
    february = period("2024-02-01", "2024-03-01")
    seats = terms(
        "unique_count_agg", standard(), recurring=True, prorated=True, pay_in_advance=True
    )
    joined = rate_events(seats, [added("2024-02-23", "ada")], february)
    assert (joined.units, cents(joined.amount)) == (1, 24)
    left = rate_events(seats, [added("2024-02-23", "ada"), removed("2024-02-29", "ada")], february)
    assert (left.units, cents(left.amount)) == (0, 24)


def test_a_whole_seat_in_advance_is_paid_in_full() -> None:
    # lago.md §8 (10), unique_count_agg_spec.rb: in advance 100, where days do not count
    february = period("2024-02-01", "2024-03-01")
    for recurring in (False, True):
        seats = terms("unique_count_agg", standard(), recurring=recurring, pay_in_advance=True)
        joined = rate_events(seats, [added("2024-02-23", "ada")], february)
        assert (joined.units, cents(joined.amount)) == (1, 100)


@pytest.mark.parametrize(
    ("events", "units"),
    [
        ([added("2023-09-10", "ada")], "0.7"),  # the 10th to the 30th: 21 days
        ([added("2023-09-10", "ada"), removed("2023-09-19", "ada")], "0.33334"),  # 10 days
        ([added("2023-08-10", "ada"), removed("2023-09-19", "ada")], "0.63334"),  # 19 days
        ([added("2023-09-10", "ada"), removed("2023-09-10T12:00", "ada")], "0.03334"),  # one
        (
            [  # removed and added on one day: there all the time, and no day twice
                added("2023-08-10", "ada"),
                removed("2023-09-10T08:00", "ada"),
                added("2023-09-10T09:00", "ada"),
            ],
            "1",
        ),
        (
            [  # two stays, of 5 and of 21 days
                added("2023-09-01", "ada"),
                removed("2023-09-05", "ada"),
                added("2023-09-10", "ada"),
            ],
            "0.86667",
        ),
        ([removed("2023-09-10", "ada"), added("2023-09-21", "ada")], "0.33334"),
        ([added("2023-09-10", "ada"), added("2023-09-21", "ada")], "0.7"),
    ],
)
def test_a_seat_counts_from_the_day_it_is_added_to_the_day_it_is_removed(
    events: list[Event], units: str
) -> None:
    seats = terms("unique_count_agg", standard(), recurring=True, prorated=True)
    assert rate_events(seats, events, SEPTEMBER).units == Decimal(units)


def test_days_are_those_of_the_customer() -> None:
    # 23:30 UTC on the 10th is the 11th in Paris: 20 days are left, not 21.
    paris = ZoneInfo("Europe/Paris")
    september = period("2023-08-31T22:00", "2023-09-30T22:00", zone=paris)
    assert september.days == 30
    seats = terms("unique_count_agg", standard(), recurring=True, prorated=True)
    usage = rate_events(seats, [added("2023-09-10T23:30", "ada")], september)
    assert usage.units == Decimal("0.66667")


def test_a_period_in_which_clocks_change_has_its_days() -> None:
    paris = ZoneInfo("Europe/Paris")
    march = period("2023-02-28T23:00", "2023-03-31T22:00", zone=paris)
    assert (march.days, march.days_left(march.start)) == (31, 31)
    seats = terms("sum_agg", standard(), recurring=True, prorated=True)
    usage = rate_events(seats, [used("2023-03-25T23:00", 1)], march)  # the 26th: six days left
    assert usage.units == Decimal("0.19355")  # 6/31, up


def test_usage_goes_on_through_a_change_of_prices() -> None:
    cheap = graduated((0, 10, 1, 0), (11, None, "0.5", 0))
    dear = graduated((0, 10, 4, 0), (11, None, 2, 0))
    usage = rate_events(
        terms("sum_agg", cheap, dear),
        [
            used("2023-08-01", 8, plan_version_id=UUID(int=1)),
            used("2023-08-20", 4, plan_version_id=UUID(int=2)),
        ],
        AUGUST,
    )
    # Eight at 1; then two that fill the range at 4, and two above it at 2.
    assert (usage.units, usage.amount) == (12, 8 + 2 * 4 + 2 * 2)


def test_a_maximum_is_priced_by_the_last_prices_that_were_used() -> None:
    usage = rate_events(
        terms("max_agg", standard(1), standard(3), standard(100)),
        [
            used("2023-08-01", 8, plan_version_id=UUID(int=1)),
            used("2023-08-20", 4, plan_version_id=UUID(int=2)),
        ],
        AUGUST,
    )
    assert (usage.units, usage.amount) == (8, 24)


@pytest.mark.parametrize("recurring", [False, True])
@pytest.mark.parametrize("prorated", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        GRADES,
        volume((0, None, 2, 10)),
        read_model("percentage", {"rate": "1", "fixed_amount": "5"}),
        read_model("percentage", {"rate": "1", "per_transaction_min_amount": "3"}),
    ],
    ids=["graduated", "volume", "percentage", "bounded percentage"],
)
def test_a_period_with_more_corrections_than_usage_costs_nothing(
    model: ChargeModel, recurring: bool, prorated: bool
) -> None:
    # lago.md 3.3, fee amount: negative units → 0
    agreed = terms("sum_agg", model, recurring=recurring, prorated=prorated)
    events = [used("2023-08-02", 2), used("2023-08-02", -5)]
    usage = rate_events(agreed, events, AUGUST)
    assert (usage.units, usage.total_units, usage.amount) == (0, -3, 0)
    assert rate_events(agreed, [*events, used("2023-08-02", 4)], AUGUST).amount > 0


def test_only_recurring_usage_begins_with_what_was_before() -> None:
    events = [used("2023-07-01", 5), used("2023-08-02", 2), used("2023-09-01", 100)]
    assert rate_events(terms("sum_agg", standard()), events, AUGUST).units == 2
    kept = rate_events(terms("sum_agg", standard(), recurring=True), events, AUGUST)
    assert (kept.units, kept.events, kept.amount) == (7, 1, 7)


def test_the_latest_value_counts_and_one_below_zero_counts_as_nothing() -> None:
    latest = terms("latest_agg", standard())
    same_second = [used("2023-08-02", 9, order=1), used("2023-08-02", 7, order=2)]
    assert rate_events(latest, [same_second[1], same_second[0]], AUGUST).units == 7
    usage = rate_events(latest, [*same_second, used("2023-08-03", -3)], AUGUST)
    assert (usage.units, usage.amount, usage.events) == (0, 0, 3)


def test_units_are_rounded_for_the_period_and_not_for_events_in_advance() -> None:
    events = [used("2023-08-02", "1.4"), used("2023-08-03", "1.4")]
    rounding = {"rounding_function": "ceil", "rounding_precision": 0}
    arrears = rate_events(terms("sum_agg", standard(10), **rounding), events, AUGUST)
    assert (arrears.units, arrears.total_units, arrears.amount) == (3, Decimal("2.8"), 30)
    advance = terms("sum_agg", standard(10), pay_in_advance=True, **rounding)
    assert rate_events(advance, events, AUGUST).amount == 28


def test_what_is_carried_into_a_period_is_no_event_of_it() -> None:
    fee_per_event = read_model("percentage", {"rate": "1", "fixed_amount": "5"})
    events = [used("2023-07-01", 100), used("2023-07-02", 100), used("2023-08-03", 300)]
    for in_advance in (False, True):
        kept = terms("sum_agg", fee_per_event, recurring=True, pay_in_advance=in_advance)
        usage = rate_events(kept, events, AUGUST)
        assert (usage.units, usage.events, usage.amount) == (500, 1, 5 + 5)
        carried, within = summarize(events[:2]), summarize(events[2:])
        assert rate_summaries(kept, {None: within}, AUGUST, carried=carried) == usage


def test_a_price_that_looks_at_each_event_takes_what_is_carried_as_the_first() -> None:
    one_free = read_model("percentage", {"rate": "1", "free_units_per_events": 1})
    events = [used("2023-07-01", 100), used("2023-07-02", 100), used("2023-08-03", 300)]
    for in_advance in (False, True):
        kept = terms("sum_agg", one_free, recurring=True, pay_in_advance=in_advance)
        assert rate_events(kept, events, AUGUST).amount == 3


@pytest.mark.parametrize(
    ("agreed", "corrections", "versions", "is_summable"),
    [
        (terms("sum_agg", standard()), 1, 2, True),
        (terms("sum_agg", standard(), pay_in_advance=True), 0, 2, True),
        (terms("sum_agg", standard(), pay_in_advance=True), 1, 1, False),
        (terms("sum_agg", volume((0, None, 1, 0)), pay_in_advance=True), 0, 1, False),
        (terms("sum_agg", volume((0, None, 1, 0))), 0, 1, True),
        (terms("max_agg", standard(), pay_in_advance=True), 0, 1, True),
        (terms("max_agg", standard(), pay_in_advance=True), 0, 2, False),
        (terms("sum_agg", standard(), recurring=True, prorated=True), 0, 1, False),
        (terms("weighted_sum_agg", standard(), recurring=True, prorated=True), 0, 1, True),
        (terms("count_agg", read_model("percentage", {"rate": "1"})), 0, 1, True),
        (
            terms("sum_agg", read_model("percentage", {"rate": "1", "free_units_per_events": 1})),
            0,
            1,
            False,
        ),
    ],
)
def test_sums_are_enough_where_neither_order_nor_days_matter(
    agreed: Terms, corrections: int, versions: int, is_summable: bool
) -> None:
    assert agreed.is_summable(corrections=corrections, versions=versions) is is_summable


@pytest.mark.parametrize(
    "aggregation",
    ["count_agg", "sum_agg", "max_agg", "latest_agg", "unique_count_agg", "weighted_sum_agg"],
)
@pytest.mark.parametrize("model", [standard(), GRADES], ids=["standard", "graduated"])
def test_a_period_without_events_costs_nothing(aggregation: str, model: object) -> None:
    usage = rate_events(terms(aggregation, model), [], AUGUST)
    assert (usage.events, usage.units, usage.amount) == (0, 0, 0)
