"""What credit notes are worth: Lago's worked numbers, and what holds for any invoice."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.credit_note_amounts import (
    Amounts,
    Before,
    Item,
    Limits,
    Parts,
    amounts_of,
    check_parts,
    limits_of,
    parts_of,
    within,
)
from invoicing.errors import Invalid
from invoicing.fees import Fee
from invoicing.invoices import Invoice
from tests.invoicing.billed import NOW, fee_of, invoice_of


def days_of(fee: Fee, days: int, whole: int, *, amount_cents: int | None = None) -> Item:
    """So many of a period's days."""
    amount = Decimal(fee.amount_cents if amount_cents is None else amount_cents)
    return Item.of_days(fee.id, amount * days / whole)


def cents_of(fee: Fee, cents: int) -> Item:
    return Item(fee_id=fee.id, amount_cents=cents, precise_amount_cents=Decimal(cents))


def credited(
    *items: Item, invoice: Invoice, fees: Sequence[Fee], before: Before | None = None
) -> Amounts:
    return amounts_of(items, invoice=invoice, fees=fees, before=before or Before())


def after(before: Before, amounts: Amounts, *, refunded: int = 0) -> Before:
    """What was credited once a note of these amounts is out."""
    fees, taxes = dict(before.fees), dict(before.taxes)
    for item in amounts.items:
        fees[item.fee_id] = fees.get(item.fee_id, 0) + item.amount_cents
    for tax in amounts.applied_taxes:
        taxes[tax.key] = taxes.get(tax.key, 0) + tax.amount_cents
    return Before(
        fees=fees,
        taxes=taxes,
        coupons_cents=before.coupons_cents + amounts.coupons_adjustment_amount_cents,
        total_cents=before.total_cents + amounts.total_cents,
        refunded_cents=before.refunded_cents + refunded,
    )


# Source: lago-api spec/scenarios/credit_notes/credit_note_rounding_spec.rb: 193.33 + 48.33 =
# 241.66, 193.34 and 31.71. The set-ups of the last two are inferred: the total is the sum of two
# rounded parts, and not the exact total rounded (which of the second is 193.33).
@pytest.mark.parametrize(
    ("amount", "days", "whole", "item", "tax", "total"),
    [
        (20_000, 29, 30, 193_33, 48_33, 241_66),
        (16_000, 29, 30, 154_67, 38_67, 193_34),
        (2_537, 1, 1, 25_37, 6_34, 31_71),
    ],
)
def test_a_total_is_the_sum_of_its_rounded_parts(
    amount: int, days: int, whole: int, item: int, tax: int, total: int
) -> None:
    fee = fee_of(amount, "25")
    found = credited(days_of(fee, days, whole), invoice=invoice_of(fee), fees=[fee])
    assert [one.amount_cents for one in found.items] == [item]
    assert (found.taxes_amount_cents, found.total_cents) == (tax, total)
    assert found.taxes_rate == 25


# Source: lago-api spec/scenarios/subscriptions/multiple_upgrade_spec.rb: with 25 % tax, credits of
# 806 (20 of the 31 days of 1000) and 1210 (all of 968).
def test_upgrades_credit_what_was_not_used() -> None:
    first = fee_of(1000, "25")
    assert (
        credited(days_of(first, 20, 31), invoice=invoice_of(first), fees=[first]).total_cents == 806
    )
    second = fee_of(968, "25")
    assert (
        credited(cents_of(second, 968), invoice=invoice_of(second), fees=[second]).total_cents
        == 1210
    )


# Source: lago-api spec/scenarios/subscriptions/upgrade_spec.rb: one of 31 days of 1000.
def test_the_day_of_an_upgrade_is_credited() -> None:
    fee = fee_of(1000)
    assert credited(days_of(fee, 1, 31), invoice=invoice_of(fee), fees=[fee]).total_cents == 32


# Source: lago-api spec/scenarios/subscriptions/terminate_manually_spec.rb: 100.00 a month and 20 %
# from 8 Feb is 90.00; ended on 21 Feb, 7 days are 30.00; half of them goes back after half is paid.
@pytest.mark.parametrize(
    ("mode", "paid", "parts"),
    [
        ("credit", 0, Parts(credit_cents=30_00)),
        ("credit", 90_00, Parts(credit_cents=30_00)),
        ("refund", 0, Parts(credit_cents=30_00)),
        ("refund", 45_00, Parts(refund_cents=15_00, credit_cents=15_00)),
        ("refund", 90_00, Parts(refund_cents=30_00)),
        ("offset", 0, Parts(offset_cents=30_00)),
        ("offset", 80_00, Parts(offset_cents=10_00, credit_cents=20_00)),
        ("offset", 90_00, Parts(credit_cents=30_00)),
    ],
)
def test_the_end_of_a_subscription_gives_back_its_last_days(
    mode: str, paid: int, parts: Parts
) -> None:
    fee = fee_of(75_00, "20")
    invoice = invoice_of(fee, paid=paid)
    assert invoice.total_amount_cents == 90_00
    found = credited(days_of(fee, 7, 28, amount_cents=100_00), invoice=invoice, fees=[fee])
    assert found.total_cents == 30_00
    limits = limits_of(found.total_cents, invoice=invoice, before=Before())
    assert parts_of(mode, found.total_cents, invoice=invoice, limits=limits) == parts
    check_parts(parts, found.total_cents, limits)


def test_coupons_and_taxes_come_back_by_the_share_of_each_fee() -> None:
    # Source of the invoice: lago-api spec/scenarios/taxes_on_invoice_spec.rb.
    fees = [
        fee_of(100_00, "10", coupons="500"),
        fee_of(50_00, "20", coupons="250"),
        fee_of(30_00, "0", coupons="150"),
        fee_of(20_00, "20", coupons="100"),
    ]
    invoice = invoice_of(*fees)
    found = credited(cents_of(fees[0], 50_00), cents_of(fees[1], 10_00), invoice=invoice, fees=fees)
    assert found.coupons_adjustment_amount_cents == 2_50 + 50
    assert found.sub_total_excluding_taxes_amount_cents == 57_00
    assert [
        (tax.tax_code, tax.base_amount_cents, tax.amount_cents) for tax in found.applied_taxes
    ] == [
        ("tax_10", 47_50, 4_75),
        ("tax_20", 9_50, 1_90),
    ]
    assert found.total_cents == 57_00 + 6_65


def test_what_wallets_paid_can_be_credited_but_not_refunded() -> None:
    fee = fee_of(100_00)
    invoice = invoice_of(fee, prepaid=60_00, paid=40_00)
    limits = limits_of(100_00, invoice=invoice, before=Before())
    assert limits == Limits(creditable_cents=100_00, refundable_cents=40_00, offsettable_cents=0)
    assert parts_of("refund", 30_00, invoice=invoice, limits=limits) == Parts(
        refund_cents=12_00, credit_cents=18_00
    )


def test_what_the_payers_bank_has_taken_back_is_not_refunded_again() -> None:
    fee = fee_of(100_00)
    invoice = invoice_of(fee, paid=100_00, payment_dispute_lost_at=NOW)
    limits = limits_of(50_00, invoice=invoice, before=Before())
    assert (limits.creditable_cents, limits.refundable_cents) == (50_00, 0)


def test_what_went_back_before_cannot_go_back_again() -> None:
    fee = fee_of(100_00)
    invoice = invoice_of(fee, paid=50_00)
    before = Before(fees={fee.id: 30_00}, total_cents=30_00, refunded_cents=30_00)
    assert limits_of(100_00, invoice=invoice, before=before) == Limits(
        creditable_cents=70_00, refundable_cents=20_00, offsettable_cents=50_00
    )
    with pytest.raises(Invalid) as refused:
        credited(cents_of(fee, 70_01), invoice=invoice, fees=[fee], before=before)
    assert refused.value.details == {"items.0.amount_cents": ["higher_than_remaining_fee_amount"]}
    assert within([cents_of(fee, 70_01)], fees=[fee], before=before) == [cents_of(fee, 70_00)]
    spent = Before(fees={fee.id: 100_00})
    assert within([cents_of(fee, 1)], fees=[fee], before=spent) == []


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (Parts(), {"base": ["total_amount_must_be_positive"]}),
        (Parts(credit_cents=49_99), {"base": ["does_not_match_item_amounts"]}),
        (Parts(credit_cents=30_00, refund_cents=20_01), {"base": ["does_not_match_item_amounts"]}),
        (
            Parts(credit_cents=50_01),
            {"credit_amount_cents": ["higher_than_remaining_invoice_amount"]},
        ),
        (
            Parts(refund_cents=40_01, credit_cents=9_99),
            {"refund_amount_cents": ["higher_than_remaining_invoice_amount"]},
        ),
        (
            Parts(offset_cents=10_01, credit_cents=39_99),
            {"offset_amount_cents": ["higher_than_remaining_invoice_amount"]},
        ),
    ],
)
def test_parts_that_do_not_add_up_are_refused_by_name(parts: Parts, told: dict[str, Any]) -> None:
    limits = Limits(creditable_cents=50_00, refundable_cents=40_00, offsettable_cents=10_00)
    with pytest.raises(Invalid) as refused:
        check_parts(parts, 50_00, limits)
    assert refused.value.details == told


def test_no_more_than_the_invoice_is_credited_where_others_billed_a_part_of_it() -> None:
    limits = Limits(creditable_cents=10_00, refundable_cents=0, offsettable_cents=0)
    with pytest.raises(Invalid) as refused:
        check_parts(Parts(credit_cents=10_00), 50_00, limits)
    assert refused.value.details == {"base": ["higher_than_remaining_invoice_amount"]}


RATES = st.lists(st.sampled_from(["0", "5.5", "7", "19", "20", "33.333"]), max_size=3, unique=True)


@st.composite
def billed(draw: st.DrawFn) -> tuple[Invoice, list[Fee]]:
    fees: list[Fee] = []
    for _ in range(draw(st.integers(1, 4))):
        amount = draw(st.integers(1, 10 ** draw(st.integers(1, 12))))
        coupons = draw(st.integers(0, amount * 1000))
        fees.append(fee_of(amount, *draw(RATES), coupons=str(Decimal(coupons) / 1000)))
    return invoice_of(*fees), fees


@given(billed(), st.data())
def test_notes_that_credit_all_of_an_invoice_come_to_the_invoice(
    bill: tuple[Invoice, list[Fee]], data: st.DataObject
) -> None:
    invoice, fees = bill
    before = Before()
    for is_last in (False, False, True):
        items = [
            cents_of(fee, left if is_last else data.draw(st.integers(0, left)))
            for fee in fees
            if (left := before.left_of(fee)) or is_last
        ]
        found = credited(*items, invoice=invoice, fees=fees, before=before)
        assert found.total_cents >= 0
        limits = limits_of(found.total_cents, invoice=invoice, before=before)
        assert limits.creditable_cents <= found.total_cents
        before = after(before, found)
        for tax in invoice.applied_taxes:
            key = tax["tax_code"], tax["tax_rate"]
            assert before.taxes.get(key, 0) <= tax["amount_cents"]
    assert before.total_cents == invoice.sub_total_including_taxes_amount_cents
    assert before.coupons_cents == invoice.coupons_amount_cents
    assert sum(before.taxes.values()) == invoice.taxes_amount_cents
