"""Which thresholds lie between what was used before and what is used now."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from invoicing.subscription_alerts import SubscriptionAlert, Threshold, crossed


def at(value: str, *, recurring: bool = False) -> Threshold:
    return Threshold(value=Decimal(value), recurring=recurring)


# Source: spec/scenarios/usage_monitoring/subscription_alerts_spec.rb (lago.md §8, no. 20).
STEPS = [at("15"), at("30"), at("10", recurring=True)]


def values(before: str, now: str, thresholds: list[Threshold] = STEPS) -> list[str]:
    return [str(one.value) for one in crossed(thresholds, Decimal(before), Decimal(now))]


def test_thresholds_are_crossed_once_and_a_recurring_one_beyond_the_last_of_the_others() -> None:
    assert values("0", "14.99") == []
    assert values("0", "15") == ["15"]
    assert values("15", "35") == ["30"]
    assert values("35", "52") == ["40", "50"]
    assert values("0", "52") == ["15", "30", "40", "50"]
    assert values("52", "52") == []
    assert values("52", "3") == []  # a new period
    assert values("3", "16") == ["15"]
    assert values("0", "0.25", [at("0.1", recurring=True)]) == ["0.1", "0.2"]


def test_of_very_many_the_last_are_told() -> None:
    told = values("0", str(10**18), [at("0.001", recurring=True)])
    assert (len(told), Decimal(told[-1])) == (100, 10**18)
    tiny = [Threshold(value=Decimal("1e-15"), recurring=True)]  # as many as no Decimal counts
    assert len(crossed(tiny, Decimal(0), Decimal("1e30"))) == 100


def test_of_usage_that_began_after_the_last_look_nothing_was_seen() -> None:
    looked_at = datetime(2026, 4, 30, 23, 59, tzinfo=UTC)
    alert = SubscriptionAlert(
        organization_id=UUID(int=1),
        id=UUID(int=2),
        external_subscription_id="sub",
        code="a",
        alert_type="current_usage_amount",
        thresholds=STEPS,
        previous_value=Decimal(50),
        last_processed_at=looked_at + timedelta(hours=1),  # in vain
        counted_at=looked_at,
        created_at=looked_at,
        updated_at=looked_at,
    )
    april, may = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    assert alert.seen_of(april) == 50
    assert alert.seen_of(may) == 0
    assert structs.replace(alert, alert_type="lifetime_usage_amount").seen_of(may) == 50
    assert structs.replace(alert, counted_at=None, last_processed_at=looked_at).seen_of(may) == 0


@given(st.lists(st.decimals(0, 1000, places=3), min_size=2, max_size=6))
def test_whether_one_looks_often_or_seldom_the_same_is_told(seen: list[Decimal]) -> None:
    seen = sorted(seen)
    each = [one for a, b in pairwise(seen) for one in crossed(STEPS, a, b)]
    assert each == crossed(STEPS, seen[0], seen[-1])
