"""Budgets in the decision: what counts, what is refused, what is only told, and alerts."""

from datetime import timedelta
from uuid import UUID

import pytest

from ledger import ids
from tests.wallet_service.desk import TOKEN, USD, Desk
from tests.wallet_service.rows import NOON
from wallet_service.decision import Asset
from wallet_service.decision.budget_state import BudgetKey, BudgetTerms, Threshold
from wallet_service.decision.budget_windows import Calendar, Rolling, Window
from wallet_service.decision.commands import AMOUNT_CODE, Authorize, Capture, Extend, Item
from wallet_service.errors import BudgetExceeded, InsufficientFunds

DAY = Calendar(interval="day")
MINUTE = Rolling(seconds=60)


@pytest.fixture
def desk() -> Desk:
    """A customer with a thousand, an hour before midnight."""
    desk = Desk()
    desk.wallet()
    desk.grant("paid", 1000)
    desk.pass_time(11 * 3600)
    return desk


def budget(
    desk: Desk,
    code: str,
    limit: int,
    *thresholds: int | tuple[int, int],
    is_hard: bool = True,
    window: Window = None,
    asset: Asset = USD,
) -> BudgetKey:
    budget_id = UUID(int=ids.hash128("budget", code))
    desk.rows.budgets[budget_id] = BudgetTerms(
        budget_id,
        code,
        code,
        asset.code,
        limit,
        is_hard,
        window,
        tuple(
            Threshold(one, one - 10) if isinstance(one, int) else Threshold(*one)
            for one in thresholds
        ),
    )
    return BudgetKey(budget_id)


def use(amount: int, *keys: BudgetKey, code: str = AMOUNT_CODE) -> list[Item]:
    return [Item(code, {}, amount_minor=amount, budgets=keys)]


def standing(desk: Desk, key: BudgetKey) -> tuple[int, int]:
    """What was ever spent there, and what is held."""
    bucket = desk.rows.bucket(key)
    return sum(bucket.spent.values()), bucket.held


def alerts(desk: Desk) -> list[tuple[int, int]]:
    return [(row.percentage, int(row.spent_minor)) for row in desk.rows.alerts]


# -- hard -----------------------------------------------------------------------------------------


def test_a_hard_budget_refuses_what_would_pass_its_limit_and_says_which_and_why(desk: Desk):
    key = budget(desk, "agents", 100, window=DAY)
    desk.debit(use(30, key))
    desk.authorize(use(50, key))
    error = desk.refusal(Authorize("acme", "call", USD, tuple(use(21, key)), 60))
    assert isinstance(error, BudgetExceeded)
    assert error.details == {
        "needed": "21",
        "available": "20",
        "asset_code": "USD",
        "budget": {
            "id": key.budget_id,
            "code": "agents",
            "name": "agents",
            "bucket": "",
            "mode": "hard",
            "asset_code": "USD",
            "limit": "100",
            "spent": "30",
            "held": "50",
            "needed": "21",
            "resets_at": "2026-03-11T00:00:00Z",
        },
    }
    desk.authorize(use(20, key))
    assert standing(desk, key) == (30, 70)


def test_all_items_of_one_call_count_together(desk: Desk):
    key = budget(desk, "agents", 100)
    with pytest.raises(BudgetExceeded):
        desk.authorize([*use(60, key), *use(60, key)])
    desk.authorize([*use(60, key), *use(60)])
    assert standing(desk, key) == (0, 60)


def test_the_first_budget_that_refuses_is_named(desk: Desk):
    wide, narrow = budget(desk, "all", 100), budget(desk, "gpt-4o", 10)
    error = desk.refusal(Authorize("acme", "call", USD, tuple(use(11, wide, narrow)), 60))
    assert error.details["budget"]["code"] == "gpt-4o"
    assert standing(desk, wide) == standing(desk, narrow) == (0, 0)


def test_a_budget_that_passes_does_not_pay(desk: Desk):
    key = budget(desk, "agents", 5_000)
    with pytest.raises(InsufficientFunds):
        desk.authorize(use(2_000, key))
    assert standing(desk, key) == (0, 0)


def test_a_limit_of_nothing_lets_only_nothing_pass(desk: Desk):
    key = budget(desk, "stopped", 0)
    with pytest.raises(BudgetExceeded):
        desk.authorize(use(1, key))
    desk.authorize(use(0, key))


def test_usage_that_happened_counts_and_is_never_refused(desk: Desk):
    key = budget(desk, "agents", 100)
    desk.debit(use(400, key))
    desk.capture(desk.authorize(use(500)), use(1, key))
    assert standing(desk, key) == (401, 0)
    with pytest.raises(BudgetExceeded):
        desk.authorize(use(1, key))


def test_what_nobody_could_pay_counts_too(desk: Desk):
    key = budget(desk, "agents", 10)
    desk.debit(use(1_500, key))
    assert desk.show() == "paid 0 | overage 500"
    assert standing(desk, key) == (1_500, 0)


def test_postpaid_usage_counts_though_nothing_is_debited(desk: Desk):
    key = budget(desk, "hours", 10, asset=TOKEN)
    desk.debit(use(7, key, code="hours"), asset=TOKEN)
    assert standing(desk, key) == (7, 0)


def test_another_asset_is_another_matter(desk: Desk):
    key = budget(desk, "hours", 10, asset=TOKEN)
    desk.authorize(use(500, key))
    desk.debit(use(100, key))
    assert standing(desk, key) == (0, 0)


def test_a_budget_that_is_gone_limits_nothing(desk: Desk):
    key = budget(desk, "agents", 10)
    hold = desk.authorize(use(10, key))
    del desk.rows.budgets[key.budget_id]
    desk.authorize(use(500, key))
    desk.capture(hold, use(20, key))
    desk.refund(hold)


def test_a_lower_limit_counts_at_once(desk: Desk):
    key = budget(desk, "agents", 100)
    desk.authorize(use(60, key))
    budget(desk, "agents", 50)
    with pytest.raises(BudgetExceeded) as caught:
        desk.authorize(use(1, key))
    assert caught.value.details["available"] == "0"


# -- the life of a hold ----------------------------------------------------------------------------


def test_a_capture_turns_held_into_spent_and_lets_go_of_the_rest(desk: Desk):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key))
    desk.capture(hold, use(30, key))
    assert standing(desk, key) == (30, 0)


def test_the_whole_of_a_hold_counts_where_the_hold_did(desk: Desk):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key))
    desk.do(Capture(hold, None, USD, None, True, budgets=(key,)), key=str(hold))
    assert standing(desk, key) == (80, 0)


def test_partial_captures_keep_the_rest_reserved(desk: Desk):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key))
    desk.capture(hold, use(30, key), final=False, transaction_id="1")
    assert standing(desk, key) == (30, 50)
    desk.capture(hold, use(60, key), final=False, transaction_id="2")
    assert standing(desk, key) == (90, 0)
    desk.capture(hold, use(5, key))
    assert standing(desk, key) == (95, 0)


def test_what_is_reserved_is_never_more_than_what_is_held(desk: Desk):
    """A hold for one model that is used for another: the money is gone all the same."""
    large, small = budget(desk, "large", 100), budget(desk, "small", 100)
    hold = desk.authorize(use(80, large))
    desk.capture(hold, use(50, small), final=False, transaction_id="1")
    assert (standing(desk, large), standing(desk, small)) == ((0, 30), (50, 0))


@pytest.mark.parametrize("end", ["void", "expire"])
def test_a_hold_that_ends_unused_gives_its_room_back(desk: Desk, end: str):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key), expires_in_s=5)
    desk.pass_time(10 if end == "expire" else 0)
    getattr(desk, end)(hold)
    assert standing(desk, key) == (0, 0)


def test_a_late_capture_counts(desk: Desk):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key), expires_in_s=5)
    desk.pass_time(10)
    desk.expire(hold)
    desk.authorize(use(90, key))
    desk.capture(hold, use(40, key))
    assert standing(desk, key) == (40, 90)


def test_an_extension_asks_the_budget_again(desk: Desk):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key))
    refusal = desk.refusal(Extend(hold, USD, tuple(use(21, key)), None))
    assert isinstance(refusal, BudgetExceeded)
    desk.do(Extend(hold, USD, tuple(use(20, key)), None))
    assert standing(desk, key) == (0, 100)
    desk.extend(hold, expires_in_s=60)
    desk.void(hold)
    assert standing(desk, key) == (0, 0)


def test_a_partial_authorization_takes_what_the_budget_leaves(desk: Desk):
    key, other = budget(desk, "agents", 100), budget(desk, "large", 30)
    items = [*use(50, key, other), *use(80, key), *use(80, key)]
    hold = desk.authorize(items, partial=True)
    assert [item.amount_minor for item in desk.rows.holds[hold].items] == [30, 70, 0]
    assert (standing(desk, key), standing(desk, other)) == ((0, 100), (0, 30))
    with pytest.raises(BudgetExceeded):
        desk.authorize(use(1, key), partial=True)


# -- giving back -----------------------------------------------------------------------------------


def test_a_refund_gives_spending_back(desk: Desk):
    key = budget(desk, "agents", 100)
    hold = desk.authorize(use(80, key))
    desk.capture(hold, use(80, key))
    desk.refund(hold, 30)
    assert standing(desk, key) == (50, 0)
    desk.refund(hold)
    assert standing(desk, key) == (0, 0)


def test_a_refund_gives_back_no_more_than_was_counted(desk: Desk):
    """Of two calls only one was counted; which of them is refunded nobody says."""
    key = budget(desk, "agents", 100)
    hold = desk.authorize(100)
    desk.capture(hold, [*use(20, key), *use(60)])
    desk.refund(hold, 10)
    assert standing(desk, key) == (10, 0)
    desk.refund(hold)
    assert standing(desk, key) == (0, 0)


def test_a_refund_of_one_metric_leaves_the_budget_of_another(desk: Desk):
    calls, images = budget(desk, "calls", 100), budget(desk, "images", 100)
    hold = desk.authorize(100)
    desk.capture(hold, [*use(20, calls, code="calls"), *use(30, images, code="images")])
    desk.refund(hold, 30)  # the last payer first
    assert (standing(desk, calls), standing(desk, images)) == ((20, 0), (0, 0))


def test_a_reversal_gives_spending_back_as_far_as_it_goes(desk: Desk):
    key = budget(desk, "agents", 100)
    event = desk.debit(use(60, key))
    desk.reverse(event, 20)
    assert standing(desk, key) == (40, 0)
    desk.reverse(event)
    assert standing(desk, key) == (0, 0)


def test_what_was_spent_yesterday_is_given_back_to_yesterday(desk: Desk):
    key = budget(desk, "agents", 100, window=DAY)
    event = desk.debit(use(60, key))
    hold = desk.authorize(use(40, key))
    desk.capture(hold, use(40, key))
    desk.pass_time(2 * 3600)
    desk.debit(use(90, key))
    desk.reverse(event)
    desk.refund(hold)
    with pytest.raises(BudgetExceeded):
        desk.authorize(use(11, key))
    bucket = desk.rows.bucket(key)
    assert bucket.spent == {NOON.replace(hour=0): 0, NOON.replace(day=11, hour=0): 90}


def test_what_was_spent_long_ago_is_not_looked_at_again(desk: Desk):
    key = budget(desk, "agents", 100, window=MINUTE)
    event = desk.debit(use(60, key))
    desk.pass_time(3600)
    desk.rows.bucket(key).spent.clear()  # as the worker does
    desk.reverse(event)
    assert desk.rows.bucket(key).spent == {}


# -- windows ---------------------------------------------------------------------------------------


def test_a_new_day_has_its_own_limit_less_what_is_held(desk: Desk):
    key = budget(desk, "agents", 100, window=DAY)
    desk.debit(use(60, key))
    hold = desk.authorize(use(40, key))
    desk.pass_time(3600)
    with pytest.raises(BudgetExceeded):
        desk.authorize(use(61, key))
    desk.authorize(use(60, key))
    desk.capture(hold, use(40, key))
    bucket = desk.rows.bucket(key)
    assert bucket.held == 60
    assert bucket.spent == {NOON.replace(hour=0): 60, NOON.replace(day=11, hour=0): 40}


def test_a_rolling_window_frees_what_has_left_it_entirely(desk: Desk):
    key = budget(desk, "agents", 100, window=MINUTE)
    began = desk.now = NOON + timedelta(seconds=0.5)
    desk.debit(use(60, key))
    desk.now = began + timedelta(seconds=30)
    desk.debit(use(30, key))
    desk.now = began + timedelta(seconds=60)  # half of the first slot is still inside
    error = desk.refusal(Authorize("acme", "call", USD, tuple(use(11, key)), 60))
    assert error.details["budget"]["resets_at"] == "2026-03-10T12:01:01Z"
    error = desk.refusal(Authorize("acme", "call", USD, tuple(use(71, key)), 60))
    assert error.details["budget"]["resets_at"] == "2026-03-10T12:01:31Z"
    error = desk.refusal(Authorize("acme", "call", USD, tuple(use(101, key)), 60))
    assert error.details["budget"]["resets_at"] is None
    desk.now = NOON + timedelta(seconds=61)
    desk.authorize(use(70, key))


def test_without_a_window_there_is_no_waiting(desk: Desk):
    key = budget(desk, "agents", 100)
    desk.debit(use(100, key))
    desk.pass_time(10**8)
    desk.grant("later", 50)
    error = desk.refusal(Authorize("acme", "call", USD, tuple(use(1, key)), 60))
    assert error.details["budget"]["resets_at"] is None


# -- soft ------------------------------------------------------------------------------------------


def test_a_soft_budget_tells_and_lets_pass(desk: Desk):
    key = budget(desk, "agents", 100, is_hard=False)
    reply = desk.do(Authorize("acme", "call", USD, tuple(use(100, key)), 60))
    assert "budget_warnings" not in reply["authorization"]
    reply = desk.do(Authorize("acme", "call", USD, tuple(use(5, key)), 60))
    (warning,) = reply["authorization"]["budget_warnings"]
    assert (warning["code"], warning["mode"]) == ("agents", "soft")
    assert (warning["held"], warning["needed"], warning["limit"]) == ("100", "5", "100")
    hold = UUID(reply["authorization"]["id"])
    reply = desk.do(Extend(hold, USD, tuple(use(7, key)), None))
    assert reply["authorization"]["budget_warnings"][0]["needed"] == "7"
    assert standing(desk, key) == (0, 112)


def test_a_soft_budget_does_not_shrink_what_is_taken_in_part(desk: Desk):
    key = budget(desk, "agents", 10, is_hard=False)
    hold = desk.authorize(use(2_000, key), partial=True)
    assert desk.rows.holds[hold].amount_minor == 1_000


# -- alerts ----------------------------------------------------------------------------------------


def test_an_alert_is_raised_once_when_spending_reaches_its_threshold(desk: Desk):
    key = budget(desk, "agents", 200, 50, 100)
    desk.authorize(use(150, key))
    assert alerts(desk) == []
    desk.debit(use(99, key))
    assert alerts(desk) == []
    desk.debit(use(1, key))
    assert alerts(desk) == [(50, 100)]
    desk.debit(use(20, key))
    assert alerts(desk) == [(50, 100)]
    desk.debit(use(300, key))
    assert alerts(desk) == [(50, 100), (100, 420)]


def test_one_jump_raises_all_that_it_passes(desk: Desk):
    key = budget(desk, "agents", 100, 50, 80, 120)
    hold = desk.authorize(use(100, key))
    desk.capture(hold, use(130, key))
    assert alerts(desk) == [(50, 130), (80, 130), (120, 130)]
    assert len({row.id for row in desk.rows.alerts}) == 3


def test_an_alert_is_armed_again_only_well_below_its_threshold(desk: Desk):
    key = budget(desk, "agents", 100, (80, 70))
    event = desk.debit(use(85, key))
    desk.reverse(event, 10)
    desk.debit(use(10, key))
    assert alerts(desk) == [(80, 85)]
    desk.reverse(event, 16)  # 69 are left
    desk.debit(use(20, key))
    assert alerts(desk) == [(80, 85), (80, 89)]


def test_a_new_window_arms_alerts_again(desk: Desk):
    key = budget(desk, "agents", 100, 80, window=DAY)
    desk.debit(use(90, key))
    desk.pass_time(3600)
    desk.debit(use(79, key))
    assert alerts(desk) == [(80, 90)]
    desk.debit(use(1, key))
    assert alerts(desk) == [(80, 90), (80, 80)]
    assert [row.window_start.day for row in desk.rows.alerts] == [10, 11]


def test_in_a_rolling_window_alerts_are_armed_again_by_what_has_left_it(desk: Desk):
    key = budget(desk, "agents", 100, 80, window=MINUTE)
    desk.debit(use(90, key))
    desk.pass_time(30)
    desk.debit(use(5, key))
    desk.pass_time(45)
    desk.debit(use(75, key))  # with the five of before
    assert alerts(desk) == [(80, 90), (80, 80)]


def test_a_limit_of_nothing_alerts_with_the_first_use(desk: Desk):
    key = budget(desk, "stopped", 0, 100)
    desk.debit(use(0, key))
    assert alerts(desk) == []
    desk.debit(use(1, key))
    assert alerts(desk) == [(100, 1)]
