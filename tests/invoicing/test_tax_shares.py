"""Taxes are of what coupons leave of lines, and rounded once for each tax."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from invoicing.coupon_shares import apply_coupons
from invoicing.fees import Fee
from invoicing.tax_shares import TaxTerms, apply_taxes
from tests.invoicing.fee_lines import amount_off, line, number


def _tax(rate: str) -> TaxTerms:
    return TaxTerms(code=f"vat-{rate}", name=f"VAT {rate} %", rate=Decimal(rate))


def _total(fees: list[Fee], taxes_amount_cents: int) -> int:
    lines = sum(fee.amount_cents - fee.precise_coupons_amount_cents for fee in fees)
    return int(lines) + taxes_amount_cents


def test_taxes_come_after_coupons() -> None:
    # Source: lago-api spec/scenarios/invoices/taxes_on_invoice_spec.rb, 200.00 less 10.00.
    fees = [line(1, 10_000), line(2, 5_000), line(3, 3_000), line(4, 2_000)]
    lowered, _ = apply_coupons(fees, [amount_off(1, 1_000)], currency="EUR", plan_codes={})
    rates = {number(1): "10", number(2): "0", number(3): "20", number(4): "20"}

    taxed = apply_taxes(lowered, {name: [_tax(rate)] for name, rate in rates.items()})

    assert taxed.taxes_amount_cents == 19_00
    assert _total(taxed.fees, taxed.taxes_amount_cents) == 209_00
    assert taxed.taxes_rate == 10
    assert [
        (tax.tax_code, tax.amount_cents, tax.fees_amount_cents) for tax in taxed.applied_taxes
    ] == [
        ("vat-0", 0, 4_750),
        ("vat-10", 950, 9_500),
        ("vat-20", 950, 4_750),
    ]


def test_coupons_of_a_metric_a_plan_and_everything_lower_the_taxes_of_their_own_lines() -> None:
    # Source of the sums: lago-api spec/scenarios/coupons_breakdown_spec.rb (200.00, three fixed
    # coupons of 35.00 in all: taxes of 18.89, 183.89). How the lines are made up is ours.
    fees = [
        line(1, 10_000),
        line(2, 5_000, billable_metric_code="tokens", subscription_id=number(9)),
        line(3, 3_000, billable_metric_code="seats", subscription_id=number(9)),
        line(4, 2_000),
    ]
    coupons = [
        amount_off(1, 500),
        amount_off(2, 500, plan_codes=["pro"]),
        amount_off(3, 2_500, billable_metric_codes=["tokens"]),
    ]
    lowered, _ = apply_coupons(fees, coupons, currency="EUR", plan_codes={number(9): "pro"})
    rates = {number(1): "10", number(2): "0", number(3): "20", number(4): "20"}

    taxed = apply_taxes(lowered, {name: [_tax(rate)] for name, rate in rates.items()})

    shares = [round(fee.precise_coupons_amount_cents, 5) for fee in taxed.fees]
    assert [str(share) for share in shares] == ["294.11765", "2794.11765", "352.94118", "58.82353"]
    assert taxed.taxes_amount_cents == 18_89
    assert _total(taxed.fees, taxed.taxes_amount_cents) == 183_89


def test_a_tax_is_rounded_once_over_all_lines() -> None:
    taxed = apply_taxes(
        [line(1, 2), line(2, 2), line(3, 1)], {number(n): [_tax("10")] for n in (1, 2, 3)}
    )

    assert [fee.taxes_amount_cents for fee in taxed.fees] == [0, 0, 0]
    assert [fee.taxes_precise_amount_cents for fee in taxed.fees] == [
        Decimal("0.2"),
        Decimal("0.2"),
        Decimal("0.1"),
    ]
    assert taxed.taxes_amount_cents == 1


def test_half_a_cent_is_rounded_away_from_zero() -> None:
    # Sources: lago-api spec/scenarios/invoices/invoicing_with_prepaid_credits_spec.rb (14.29 and
    # 24 % are 17.72), subscriptions/terminate_manually_spec.rb (75.00 and 20 % are 90.00).
    for net, rate, tax in ((14_29, "24", 3_43), (75_00, "20", 15_00), (5, "10", 1), (-5, "10", -1)):
        assert apply_taxes([line(1, net)], {number(1): [_tax(rate)]}).taxes_amount_cents == tax


def test_a_line_may_have_several_taxes_and_each_once() -> None:
    taxed = apply_taxes([line(1, 1_000)], {number(1): [_tax("5"), _tax("10"), _tax("5")]})

    assert taxed.taxes_amount_cents == 150
    assert taxed.taxes_rate == taxed.fees[0].taxes_rate == 15
    assert [tax["tax_code"] for tax in taxed.fees[0].applied_taxes] == ["vat-5", "vat-10"]


def test_an_invoice_of_nothing_has_the_average_of_its_lines_rates() -> None:
    taxed = apply_taxes([line(1, 0), line(2, 0)], {number(1): [_tax("20")]})

    assert (taxed.taxes_amount_cents, taxed.taxes_rate) == (0, 10)
    assert apply_taxes([], {}).taxes_rate == 0


_rate = st.decimals("0", "100", places=3).map(str)


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.lists(_rate, max_size=3)), max_size=8),
    st.integers(1, 10**12),
)
def test_taxes_are_those_of_the_sums_to_half_a_cent_for_each_tax(
    lines: list[tuple[int, list[str]]], coupon: int
) -> None:
    fees = [line(n, cents) for n, (cents, _) in enumerate(lines)]
    lowered, _ = apply_coupons(fees, [amount_off(1, coupon)], currency="EUR", plan_codes={})
    taxes = {number(n): [_tax(rate) for rate in rates] for n, (_, rates) in enumerate(lines)}

    taxed = apply_taxes(lowered, taxes)

    exact = sum(fee.taxes_precise_amount_cents for fee in taxed.fees)
    assert abs(exact - taxed.taxes_amount_cents) <= Decimal("0.5") * len(taxed.applied_taxes)
    assert sum(tax.amount_cents for tax in taxed.applied_taxes) == taxed.taxes_amount_cents
    assert apply_taxes(lowered[::-1], taxes)[1:] == taxed[1:]
