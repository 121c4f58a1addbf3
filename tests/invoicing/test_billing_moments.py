"""A subscription is billed at the moments of its periods: each once, nothing twice or left out."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.billing_moments import (
    BilledPlan,
    BilledSubscription,
    BillingMoment,
    moments,
    trial_end,
)
from invoicing.days import Days
from tests.invoicing.zones import ZONES

INTERVALS = ("weekly", "monthly", "quarterly", "semiannual", "yearly")


def day(text: str, hour: int = 0) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).replace(hour=hour)


def subscription(started: str, **fields) -> BilledSubscription:
    at = day(started, 10)
    known = {"billing_time": "calendar", "subscription_at": at, "started_at": at, "created_at": at}
    return BilledSubscription(**(known | fields))


def days(lived: Days | None) -> tuple[str, str, int, int] | None:
    if lived is None:
        return None
    first, after = lived.part.start, lived.part.end
    return (first.date().isoformat(), after.date().isoformat(), lived.days, lived.whole_days)


def show(moment: BillingMoment) -> tuple[str, str, object, object]:
    reason = moment.reason.removeprefix("subscription_")
    at = moment.billing_at.date().isoformat()
    return (at, reason, days(moment.fee_period), days(moment.charges_period))


def test_a_plan_in_arrears_bills_what_has_ended() -> None:
    found = moments(
        subscription("2026-01-20"), BilledPlan(interval="monthly"), until=day("2026-03-02")
    )
    assert [show(moment) for moment in found] == [
        (
            "2026-02-01",
            "periodic",
            ("2026-01-20", "2026-02-01", 12, 31),
            ("2026-01-20", "2026-02-01", 12, 31),
        ),
        (
            "2026-03-01",
            "periodic",
            ("2026-02-01", "2026-03-01", 28, 28),
            ("2026-02-01", "2026-03-01", 28, 28),
        ),
    ]


def test_a_plan_in_advance_bills_what_comes_and_the_usage_that_has_ended() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    found = moments(subscription("2026-01-20"), plan, until=day("2026-02-02"))
    assert [show(moment) for moment in found] == [
        ("2026-01-20", "starting", ("2026-01-20", "2026-02-01", 12, 31), None),
        (
            "2026-02-01",
            "periodic",
            ("2026-02-01", "2026-03-01", 28, 28),
            ("2026-01-20", "2026-02-01", 12, 31),
        ),
    ]


def test_an_anniversary_is_billed_whole_from_its_day_on_and_the_31st_comes_back() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    anniversary = subscription("2026-01-31", billing_time="anniversary")
    found = list(moments(anniversary, plan, until=day("2026-04-01")))
    assert [days(moment.fee_period) for moment in found] == [
        ("2026-01-31", "2026-02-28", 28, 28),
        ("2026-02-28", "2026-03-31", 31, 31),
        ("2026-03-31", "2026-04-30", 30, 30),
    ]


def test_a_year_may_bill_its_usage_by_the_month() -> None:
    plan = BilledPlan(interval="yearly", bill_charges_monthly=True)
    found = list(moments(subscription("2025-11-10"), plan, until=day("2026-02-01")))
    assert [show(moment) for moment in found] == [
        ("2025-12-01", "periodic", None, ("2025-11-10", "2025-12-01", 21, 30)),
        (
            "2026-01-01",
            "periodic",
            ("2025-11-10", "2026-01-01", 52, 365),
            ("2025-12-01", "2026-01-01", 31, 31),
        ),
        ("2026-02-01", "periodic", None, ("2026-01-01", "2026-02-01", 31, 31)),
    ]
    assert [moment.ends_fee_period for moment in found] == [False, True, False]


def test_fixed_charges_are_billed_before_and_after_their_period() -> None:
    plan = BilledPlan(
        interval="yearly", bill_fixed_charges_monthly=True, has_fixed_charges_in_advance=True
    )
    found = list(moments(subscription("2025-12-10"), plan, until=day("2026-01-02")))
    assert [moment.reason for moment in found] == ["subscription_starting", "subscription_periodic"]
    assert [days(moment.fixed_charges_in_advance) for moment in found] == [
        ("2025-12-10", "2026-01-01", 22, 31),
        ("2026-01-01", "2026-02-01", 31, 31),
    ]
    assert [days(moment.fixed_charges_in_arrears) for moment in found] == [
        None,
        ("2025-12-10", "2026-01-01", 22, 31),
    ]
    assert days(found[1].charges_period) == ("2025-12-10", "2026-01-01", 22, 365)


def test_a_trial_is_free_and_the_rest_is_billed_as_it_ends() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True, trial_period_days=Decimal(10))
    found = list(moments(subscription("2026-03-05"), plan, until=day("2026-04-01")))
    assert [show(moment) for moment in found] == [
        ("2026-03-15", "trial_ended", ("2026-03-15", "2026-04-01", 17, 31), None),
        (
            "2026-04-01",
            "periodic",
            ("2026-04-01", "2026-05-01", 30, 30),
            ("2026-03-05", "2026-04-01", 27, 31),
        ),
    ]


def test_a_trial_goes_on_over_periods_and_over_a_change_of_plan() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True, trial_period_days=Decimal(40))
    changed = subscription("2026-03-20", first_started_at=day("2026-03-05", 10))
    found = list(moments(changed, plan, until=day("2026-05-01")))
    assert [show(moment)[:3] for moment in found] == [
        ("2026-04-01", "periodic", None),
        ("2026-04-14", "trial_ended", ("2026-04-14", "2026-05-01", 17, 30)),
        ("2026-05-01", "periodic", ("2026-05-01", "2026-06-01", 31, 31)),
    ]


def test_a_trial_of_a_plan_in_arrears_takes_its_days_out() -> None:
    plan = BilledPlan(interval="monthly", trial_period_days=Decimal(40))
    found = list(moments(subscription("2026-03-05"), plan, until=day("2026-05-01")))
    assert [days(moment.fee_period) for moment in found] == [
        None,
        ("2026-04-14", "2026-05-01", 17, 30),
    ]
    assert [days(moment.charges_period)[2] for moment in found] == [27, 30]


def test_a_trial_that_ends_as_a_period_begins_is_billed_once() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True, trial_period_days=Decimal(31))
    started = subscription("2026-03-01", started_at=day("2026-03-01"), created_at=day("2026-03-01"))
    found = list(moments(started, plan, until=day("2026-04-20")))
    assert [show(moment)[:3] for moment in found] == [
        ("2026-04-01", "periodic", ("2026-04-01", "2026-05-01", 30, 30))
    ]


def test_the_end_bills_what_was_lived_and_gives_back_the_days_after_it() -> None:
    ended = subscription("2026-02-08", terminated_at=day("2026-02-21", 15))
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    last = list(moments(ended, plan, until=day("2026-06-01")))[-1]
    assert show(last) == ("2026-02-21", "terminating", None, ("2026-02-08", "2026-02-21", 14, 28))
    assert days(last.issues_credit_for) == ("2026-02-22", "2026-03-01", 7, 28)
    arrears = list(moments(ended, BilledPlan(interval="monthly"), until=day("2026-06-01")))
    assert [show(moment)[:3] for moment in arrears] == [
        ("2026-02-21", "terminating", ("2026-02-08", "2026-02-21", 14, 28))
    ]
    assert arrears[0].issues_credit_for is None


def test_the_day_of_an_upgrade_belongs_to_the_new_plan() -> None:
    upgraded = subscription("2026-02-08", terminated_at=day("2026-02-21", 15), is_upgraded=True)
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    last = list(moments(upgraded, plan, until=day("2026-06-01")))[-1]
    assert days(last.issues_credit_for) == ("2026-02-21", "2026-03-01", 8, 28)
    last = list(moments(upgraded, BilledPlan(interval="monthly"), until=day("2026-06-01")))[-1]
    assert days(last.fee_period) == ("2026-02-08", "2026-02-21", 13, 28)
    assert last.charges_period is not None
    assert last.charges_period.part.end == day("2026-02-21", 15)


def test_an_end_at_the_end_of_a_period_is_one_moment_and_gives_nothing_back() -> None:
    ended = subscription("2026-02-08", terminated_at=day("2026-03-01"))
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    found = list(moments(ended, plan, until=day("2026-06-01")))
    assert [moment.reason for moment in found] == [
        "subscription_starting",
        "subscription_terminating",
    ]
    assert found[1].issues_credit_for is None
    assert days(found[1].charges_period) == ("2026-02-08", "2026-03-01", 21, 28)


def test_what_the_end_shall_not_do_it_does_not() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    ended = {"terminated_at": day("2026-02-21", 15)}
    only_credit = subscription("2026-02-08", skips_termination_invoice=True, **ended)
    last = list(moments(only_credit, plan, until=day("2026-06-01")))[-1]
    assert (last.reason, last.charges_period) == ("subscription_terminating", None)
    assert last.issues_credit_for is not None
    nothing = subscription(
        "2026-02-08", skips_termination_invoice=True, skips_termination_credit=True, **ended
    )
    found = list(moments(nothing, plan, until=day("2026-06-01")))
    assert [moment.reason for moment in found] == ["subscription_starting"]


def test_what_began_before_it_was_made_has_no_invoices_of_the_past() -> None:
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    backdated = subscription("2026-01-10", created_at=day("2026-03-10"))
    found = list(moments(backdated, plan, until=day("2026-04-01")))
    assert [show(moment) for moment in found] == [
        (
            "2026-04-01",
            "periodic",
            ("2026-04-01", "2026-05-01", 30, 30),
            ("2026-03-01", "2026-04-01", 31, 31),
        )
    ]
    ended = subscription(
        "2026-01-10", created_at=day("2026-03-10"), terminated_at=day("2026-03-20", 10)
    )
    only = list(moments(ended, plan, until=day("2026-06-01")))
    assert [moment.reason for moment in only] == ["subscription_terminating"]
    assert only[0].issues_credit_for is None  # it had not been paid


def test_a_new_zone_moves_the_cut_but_leaves_no_usage_out() -> None:
    plan = BilledPlan(interval="monthly")
    before = subscription("2026-01-05")
    berlin, new_york = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
    [january] = moments(before, plan, berlin, until=day("2026-02-01", 1))
    assert january.charges_period is not None
    until = january.charges_period.part.end
    moved = subscription("2026-01-05", billed_at=january.billing_at, charges_billed_to=until)
    found = list(moments(moved, plan, new_york, after=january.billing_at, until=day("2026-03-02")))
    assert [moment.billing_at for moment in found] == [day("2026-03-01", 5)]
    [february] = found
    assert february.charges_period is not None
    assert february.charges_period.part.start == until
    assert february.fee_period is not None
    assert february.fee_period.share == 1


def test_days_are_those_of_the_customer() -> None:
    """Source: spec terminate_pay_in_advance (4715 where the day began earlier than in UTC)."""
    plan = BilledPlan(interval="monthly", pay_in_advance=True)
    started = subscription(
        "2023-02-08", started_at=day("2023-02-08", 2), created_at=day("2023-02-08", 2)
    )
    for zone, lived in (("UTC", 21), ("America/Los_Angeles", 22)):
        first = next(moments(started, plan, ZoneInfo(zone), until=day("2023-02-09")))
        assert first.fee_period is not None
        assert (first.fee_period.days, first.fee_period.whole_days) == (lived, 28)


def test_a_trial_is_counted_on_the_customers_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert trial_end(day("2026-03-28", 9), Decimal(2), berlin) == day("2026-03-30", 8)
    assert trial_end(day("2026-03-28", 9), Decimal("0.5"), berlin) == day("2026-03-28", 21)
    assert trial_end(day("2026-03-28", 9), Decimal(0), berlin) is None


STARTS = st.datetimes(datetime(2000, 1, 1), datetime(2049, 1, 1), timezones=st.just(UTC))
PLANS = st.builds(
    BilledPlan,
    interval=st.sampled_from(INTERVALS),
    pay_in_advance=st.booleans(),
    trial_period_days=st.sampled_from([Decimal(0), Decimal(0), Decimal(7), Decimal(45)]),
    bill_charges_monthly=st.booleans(),
    bill_fixed_charges_monthly=st.booleans(),
    has_fixed_charges_in_advance=st.booleans(),
)


@given(
    start=STARTS,
    plan=PLANS,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    billing_time=st.sampled_from(["calendar", "anniversary"]),
    lives=st.timedeltas(timedelta(), timedelta(days=1200)),
    is_upgraded=st.booleans(),
)
def test_usage_is_billed_once_and_no_moment_is_twice(
    start: datetime,
    plan: BilledPlan,
    zone: ZoneInfo,
    billing_time: str,
    lives: timedelta,
    is_upgraded: bool,
) -> None:
    end = start + lives
    one = BilledSubscription(
        billing_time=billing_time,
        subscription_at=start,
        started_at=start,
        created_at=start,
        terminated_at=end,
        is_upgraded=is_upgraded,
    )
    found = list(moments(one, plan, zone, until=end))
    keys = [(moment.billing_at, moment.reason) for moment in found]
    assert len(set(keys)) == len(keys)
    assert sorted(moment.billing_at for moment in found) == [moment.billing_at for moment in found]
    assert all(start <= moment.billing_at <= end for moment in found)
    for name in ("charges_period", "fixed_charges_in_arrears"):
        parts = [getattr(moment, name) for moment in found if getattr(moment, name)]
        edges = [edge for lived in parts for edge in (lived.part.start, lived.part.end)]
        if name == "charges_period" and lives:
            assert (edges[0], edges[-1]) == (start, end)
        assert edges[1:-1:2] == edges[2::2]
    fees = [moment.fee_period for moment in found if moment.fee_period]
    for before, after in pairwise(fees):
        assert before.part.end == after.part.start
    assert all(0 < fee.days <= fee.whole_days for fee in fees)


@given(
    start=STARTS,
    plan=PLANS,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    billing_time=st.sampled_from(["calendar", "anniversary"]),
    stop=st.timedeltas(timedelta(), timedelta(days=500)),
)
def test_who_goes_on_after_a_moment_finds_the_same_ones(
    start: datetime, plan: BilledPlan, zone: ZoneInfo, billing_time: str, stop: timedelta
) -> None:
    one = BilledSubscription(
        billing_time=billing_time, subscription_at=start, started_at=start, created_at=start
    )
    until = start + timedelta(days=800)
    whole = list(moments(one, plan, zone, until=until))
    first = list(moments(one, plan, zone, until=start + stop))
    last = first[-1].billing_at if first else None
    assert first + list(moments(one, plan, zone, after=last, until=until)) == whole


@pytest.mark.parametrize("interval", INTERVALS)
def test_the_end_of_time_ends_the_series(interval: str) -> None:
    last = datetime(9999, 12, 30, tzinfo=UTC)
    one = BilledSubscription(
        billing_time="calendar", subscription_at=last, started_at=last, created_at=last
    )
    until = datetime.max.replace(tzinfo=UTC)
    for zone in ("Pacific/Apia", "Pacific/Midway", "UTC"):
        plan = BilledPlan(interval=interval, trial_period_days=Decimal(3650))
        assert len(list(moments(one, plan, ZoneInfo(zone), until=until))) <= 2
