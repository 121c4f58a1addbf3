"""Coupons lower lines by exactly what they take off the invoice."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from invoicing.coupon_shares import UsableCoupon, apply_coupons, lower, net_cents
from invoicing.fees import Fee
from tests.invoicing.fee_lines import AT, amount_off, line, number, percent_off


def _apply(
    fees: list[Fee], *coupons: UsableCoupon, **options: Any
) -> tuple[list[Decimal], list[int]]:
    options = {"currency": "EUR", "plan_codes": {}} | options
    lowered, taken = apply_coupons(fees, coupons, **options)
    return [fee.precise_coupons_amount_cents for fee in lowered], [c.amount_cents for c in taken]


def test_an_amount_is_shared_in_proportion() -> None:
    fees = [line(1, 10_000), line(2, 5_000), line(3, 3_000), line(4, 2_000)]

    assert _apply(fees, amount_off(1, 1_000)) == ([500, 250, 150, 100], [1_000])


def test_what_does_not_divide_adds_up_all_the_same() -> None:
    shares, taken = _apply([line(n, 100) for n in (1, 2, 3)], amount_off(1, 100))

    assert shares == [Decimal("33.3333333334"), Decimal("33.3333333333"), Decimal("33.3333333333")]
    assert sum(shares) == sum(taken) == 100


def test_an_invoice_is_never_lowered_below_zero() -> None:
    assert _apply([line(1, 300)], amount_off(1, 1_000), amount_off(2, 5)) == ([300], [300])


def test_those_of_metrics_come_first_then_those_of_plans_then_the_oldest() -> None:
    plan = {number(9): "pro"}
    tokens = {"billable_metric_code": "tokens", "subscription_id": number(9)}
    fees = [line(1, 1_000, **tokens), line(2, 1_000, subscription_id=number(9)), line(3, 1_000)]
    coupons = [
        amount_off(1, 10, applied_at=AT + timedelta(days=1)),
        amount_off(2, 20),
        amount_off(3, 40, plan_codes=["pro"], applied_at=AT + timedelta(days=2)),
        amount_off(4, 80, billable_metric_codes=["tokens"], applied_at=AT + timedelta(days=3)),
    ]

    _, taken = apply_coupons(fees, coupons, currency="EUR", plan_codes=plan)

    assert [credit.code for credit in taken] == ["c4", "c3", "c2", "c1"]


def test_a_coupon_of_another_currency_is_left_alone_but_a_percentage_has_none() -> None:
    dollars = amount_off(1, 10, amount_currency="USD")

    assert _apply([line(1, 100)], dollars) == ([0], [])
    assert _apply([line(1, 100)], dollars, percent_off(2, "10")) == ([10], [10])


def test_a_coupon_that_nothing_is_for_is_not_used() -> None:
    fees = [line(1, 100, billable_metric_code="tokens", subscription_id=number(9))]
    others = amount_off(1, 10, billable_metric_codes=["seats"]), amount_off(2, 10, plan_codes=["x"])

    assert _apply(fees, *others, plan_codes={number(9): "pro"}) == ([0], [])


def test_a_percentage_is_of_what_is_left_and_rounds_half_away_from_zero() -> None:
    assert _apply([line(1, 1_000)], percent_off(1, "50"), percent_off(2, "50")) == (
        [750],
        [500, 250],
    )
    assert _apply([line(1, 5)], percent_off(1, "50")) == ([3], [3])


def test_a_percentage_of_everything_leaves_nothing() -> None:
    assert _apply([line(1, 7), line(2, 0)], percent_off(1, "100")) == ([7, 0], [7])


def test_a_correction_below_zero_lowers_what_a_coupon_may_take() -> None:
    assert _apply([line(1, 100), line(2, -40)], amount_off(1, 100)) == ([60, 0], [60])


def test_what_a_line_was_lowered_by_before_counts() -> None:
    before = lower([line(1, 100), line(2, 100)], 100)

    assert _apply(before, amount_off(1, 1_000)) == ([100, 100], [100])


_amounts = st.lists(st.integers(0, 10**12), min_size=1, max_size=8)
_wanted = st.one_of(
    st.integers(1, 10**12).map(lambda cents: amount_off(1, cents)),
    st.decimals("0.01", "100", places=2).map(lambda rate: percent_off(1, str(rate))),
)


@given(_amounts, st.lists(_wanted, min_size=1, max_size=3), st.integers(0, 7))
def test_shares_add_up_to_the_credits_and_none_is_more_than_its_line(
    amounts: list[int], coupons: list[UsableCoupon], limited: int
) -> None:
    fees = [
        line(n, cents, billable_metric_code="tokens" if n % 8 <= limited else "seats")
        for n, cents in enumerate(amounts, 1)
    ]
    ours = [*coupons, amount_off(9, 777, billable_metric_codes=["tokens"])]

    lowered, taken = apply_coupons(fees, ours, currency="EUR", plan_codes={})

    shares = [fee.precise_coupons_amount_cents for fee in lowered]
    assert sum(shares) == sum(credit.amount_cents for credit in taken)
    assert all(0 <= share <= fee.amount_cents for share, fee in zip(shares, fees, strict=True))
    assert all(net_cents(fee) >= 0 for fee in lowered)


@given(_amounts, st.lists(_wanted, min_size=1, max_size=3), st.randoms())
def test_neither_the_order_of_lines_nor_of_coupons_matters(
    amounts: list[int], wanted: list[UsableCoupon], chance: Any
) -> None:
    fees = [line(n, cents) for n, cents in enumerate(amounts, 1)]
    coupons = [
        UsableCoupon(
            applied_coupon_id=number(n),
            code=f"c{n}",
            name="",
            amount_cents=coupon.amount_cents,
            amount_currency=coupon.amount_currency,
            percentage_rate=coupon.percentage_rate,
            applied_at=AT,
        )
        for n, coupon in enumerate(wanted)
    ]
    first, taken = apply_coupons(fees, coupons, currency="EUR", plan_codes={})
    mixed, shuffled = fees.copy(), coupons.copy()
    chance.shuffle(mixed)
    chance.shuffle(shuffled)

    again, same = apply_coupons(mixed, shuffled, currency="EUR", plan_codes={})

    assert same == taken
    assert sorted(again, key=lambda fee: fee.position) == first
