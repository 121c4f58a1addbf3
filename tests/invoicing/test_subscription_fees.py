"""The worked numbers of Lago's scenarios: what parts of periods cost, to the cent."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.billing_moments import (
    BilledPlan,
    BilledSubscription,
    BillingMoment,
    moments,
)
from invoicing.days import Days
from invoicing.periods import Bounds
from invoicing.subscription_fees import commitment_fee, subscription_fee, unused_amount

NEVER = datetime(2100, 1, 1, tzinfo=UTC)


def at(text: str, hour: int = 10) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).replace(hour=hour)


def billed(
    started: datetime, plan: BilledPlan, *, until: datetime = NEVER, **fields
) -> list[BillingMoment]:
    known = {"billing_time": "calendar", "subscription_at": started, "created_at": started}
    one = BilledSubscription(started_at=started, **(known | fields))
    return list(moments(one, plan, until=until))


def fee(amount_cents: int, lived: Days | None) -> int:
    assert lived is not None
    return subscription_fee(amount_cents, lived).amount_cents


def with_tax(cents: int, rate: str) -> int:
    return int((cents * (100 + Decimal(rate)) / 100).to_integral_value("ROUND_HALF_UP"))


IN_ADVANCE = BilledPlan(interval="monthly", pay_in_advance=True)
IN_ARREARS = BilledPlan(interval="monthly")
WHOLE_DAY = Bounds(at("2026-05-01", 0), at("2026-06-01", 0))


def test_a_plan_in_advance_is_changed_on_the_11th_of_may() -> None:
    """Source: docs, upgrade of 20 to 40 a month: 21/31 of 40 = 27.10, less the credit."""
    [first, last] = billed(
        at("2026-05-01"), IN_ADVANCE, terminated_at=at("2026-05-11"), is_upgraded=True
    )
    new = billed(at("2026-05-11"), IN_ADVANCE, until=at("2026-05-12"))[0]
    assert fee(20_00, first.fee_period) == 20_00
    assert fee(40_00, new.fee_period) == 27_10
    assert last.issues_credit_for is not None
    assert last.issues_credit_for.days == 21
    assert unused_amount(20_00, last.issues_credit_for).amount_cents == 13_55


def test_a_monthly_plan_becomes_a_yearly_one_a_day_before_its_period_ends() -> None:
    """Source: spec upgrade_spec: 1000 a month to 12000 a year, anniversary 29 June: 32, 9016."""
    anchor = {"billing_time": "anniversary", "subscription_at": at("2023-06-29")}
    old = billed(
        at("2023-06-29"), IN_ADVANCE, terminated_at=at("2023-09-28"), is_upgraded=True, **anchor
    )
    assert old[-1].issues_credit_for is not None
    assert unused_amount(1000, old[-1].issues_credit_for).amount_cents == 32
    yearly = BilledPlan(interval="yearly", pay_in_advance=True)
    new = billed(at("2023-09-28"), yearly, until=at("2023-10-01"), **anchor)[0]
    assert new.fee_period is not None
    assert (new.fee_period.days, new.fee_period.whole_days) == (275, 366)
    assert fee(12_000, new.fee_period) == 9016


def test_a_cheaper_year_follows_a_month_at_its_end() -> None:
    """Source: spec downgrade_spec: 12,900 a month to 118,800 a year: 243 of 366 days: 78,875."""
    anchor = {"billing_time": "anniversary", "subscription_at": at("2023-07-01")}
    yearly = BilledPlan(interval="yearly", pay_in_advance=True)
    new = billed(at("2023-11-01", 0), yearly, until=at("2023-11-02"), **anchor)[0]
    assert new.fee_period is not None
    assert (new.fee_period.days, new.fee_period.whole_days) == (243, 366)
    assert fee(118_800, new.fee_period) == 78_875


@pytest.mark.parametrize(("end", "is_upgraded"), [("2024-06-20", False), ("2024-06-21", True)])
def test_a_quarter_in_arrears_is_billed_for_its_days(end: str, is_upgraded: bool) -> None:
    """Source: spec upgrade_proration_spec: 91,000 a quarter from 20 May to 20 June: 32,000."""
    [last] = billed(
        at("2024-05-20"),
        BilledPlan(interval="quarterly"),
        terminated_at=at(end),
        is_upgraded=is_upgraded,
    )
    assert fee(91_000, last.fee_period) == 32_000


def test_a_chain_of_upgrades_gives_back_what_each_has_billed() -> None:
    """Source: spec multiple_upgrade_spec, 25% tax: 871; 968 and credit 806; 1226 and 1210."""
    first = billed(at("2023-08-05"), IN_ADVANCE, terminated_at=at("2023-08-12"), is_upgraded=True)
    second = billed(
        at("2023-08-12"), IN_ADVANCE, terminated_at=at("2023-08-12", 18), is_upgraded=True
    )
    third = billed(at("2023-08-12", 18), IN_ADVANCE, until=at("2023-08-13"))
    assert fee(1000, first[0].fee_period) == 871
    assert fee(1500, second[0].fee_period) == 968
    assert fee(1900, third[0].fee_period) == 1226
    given_back = [
        with_tax(fee(amount, last.issues_credit_for), "25")
        for amount, last in ((1000, first[-1]), (1500, second[-1]))
    ]
    assert given_back == [806, 1210]


def test_the_days_after_a_trial_are_billed() -> None:
    """Source: spec free_trial_billing_spec: 5,000,000 from 5 March, 10 days free: 17 of 31."""
    plan = BilledPlan(interval="monthly", pay_in_advance=True, trial_period_days=Decimal(10))
    [ended] = billed(at("2024-03-05"), plan, until=at("2024-03-31"))
    assert ended.billing_at == at("2024-03-15")
    assert fee(5_000_000, ended.fee_period) == 2_741_935


def test_a_trial_goes_on_after_an_upgrade() -> None:
    """Source: spec free_trial_billing_spec, upgrade in trial: 4,516,129, 14 of 31 days here."""
    plan = BilledPlan(interval="monthly", pay_in_advance=True, trial_period_days=Decimal(13))
    started = {"first_started_at": at("2024-03-05"), "subscription_at": at("2024-03-05")}
    [ended] = billed(at("2024-03-12"), plan, until=at("2024-03-31"), **started)
    assert fee(10_000_000, ended.fee_period) == 4_516_129


def test_an_end_in_the_middle_of_a_month_paid_in_advance() -> None:
    """Source: spec terminate_manually_spec: 100.00 + 20% from 8 Feb: 90.00; on the 21st: 30.00."""
    [first, last] = billed(at("2023-02-08"), IN_ADVANCE, terminated_at=at("2023-02-21"))
    assert with_tax(fee(100_00, first.fee_period), "20") == 90_00
    assert with_tax(fee(100_00, last.issues_credit_for), "20") == 30_00


@pytest.mark.parametrize(
    ("started", "billing_time", "billed_cents", "credit_cents"),
    [
        ("2023-02-08", "calendar", 4500, 4285),
        ("2023-02-07", "calendar", 4715, 4500),
        ("2023-02-08", "anniversary", 6000, 5785),
    ],
)
def test_an_end_on_the_first_day(
    started: str, billing_time: str, billed_cents: int, credit_cents: int
) -> None:
    """Source: spec terminate_pay_in_advance_spec: 50.00 + 20%; one day is used."""
    [first, last] = billed(
        at(started), IN_ADVANCE, terminated_at=at(started, 15), billing_time=billing_time
    )
    assert with_tax(fee(50_00, first.fee_period), "20") == billed_cents
    assert with_tax(fee(50_00, last.issues_credit_for), "20") == credit_cents


@pytest.mark.parametrize(
    ("started", "interval", "until", "missing"),
    [
        ("2024-01-03", "weekly", "2024-01-08", 642_857),
        ("2023-02-04", "monthly", "2023-03-01", 803_571),
        ("2023-03-01", "monthly", "2023-04-01", 900_000),
    ],
)
def test_what_is_missing_to_a_commitment_is_billed(
    started: str, interval: str, until: str, missing: int
) -> None:
    """Source: spec commitments/minimum/in_arrears_spec: fee 100,000, commitment 1,000,000."""
    plan = BilledPlan(interval=interval)
    [period] = billed(at(started), plan, until=at(until))
    assert period.ended_fee_period is not None
    own = subscription_fee(100_000, period.ended_fee_period).precise_amount_cents
    added = commitment_fee(1_000_000, period.ended_fee_period, billed_cents=own)
    assert added.amount_cents == missing
    enough = commitment_fee(1_000_000, period.ended_fee_period, billed_cents=Decimal(1_000_000))
    assert enough.amount_cents == 0


@given(amount=st.integers(0, 2**63 - 1), days=st.integers(1, 366), whole=st.integers(1, 366))
def test_days_of_a_period_never_cost_more_than_all_of_it(
    amount: int, days: int, whole: int
) -> None:
    used = Days(WHOLE_DAY, WHOLE_DAY, min(days, whole), whole)
    cost = subscription_fee(amount, used)
    assert 0 <= cost.amount_cents <= amount
    assert abs(cost.amount_cents - cost.precise_amount_cents) <= Decimal("0.5")
    rest = Days(WHOLE_DAY, WHOLE_DAY, whole - used.days, whole)
    assert abs(cost.amount_cents + unused_amount(amount, rest).amount_cents - amount) <= 1
