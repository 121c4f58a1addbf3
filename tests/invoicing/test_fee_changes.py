"""Adjusted lines: what stands instead of what was computed, and stays when it is computed anew."""

from decimal import ROUND_HALF_UP, Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs, to_builtins

from invoicing.fee_changes import Adjustment, adjusted
from invoicing.records import from_json, to_json
from tests.invoicing.billed import fee_of

LINE = fee_of(
    10_00,
    units=Decimal(4),
    precise_unit_amount=Decimal("2.5"),
    amount_details={"ranges": []},
    invoice_display_name="Tokens",
)
numbers = st.decimals(min_value=0, max_value=10**6, places=6, allow_nan=False)


def as_stored(adjustment: Adjustment) -> dict[str, object]:
    return from_json(to_json(to_builtins(adjustment)))


def lines_of(adjustment: Adjustment):
    return adjusted([LINE], [structs.replace(LINE, adjustment=as_stored(adjustment))])


@given(units=st.none() | numbers, each=st.none() | numbers)
def test_units_times_price_is_rounded_once_half_away(units: Decimal | None, each: Decimal | None):
    (line,) = lines_of(Adjustment(units=units, unit_precise_amount=each))
    used = LINE.units if units is None else units
    price = LINE.precise_unit_amount if each is None else each
    assert (line.units, line.precise_unit_amount) == (used, price)
    assert line.precise_amount_cents == used * price * 100
    assert line.amount_cents == int(
        (used * price * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    )
    assert adjusted([LINE], [line]) == [line], "and again"


def test_another_name_leaves_the_amount_as_it_is():
    (line,) = lines_of(Adjustment(invoice_display_name="As agreed"))
    assert line.invoice_display_name == "As agreed"
    changed = {"invoice_display_name": "Tokens", "is_adjusted": False, "adjustment": None}
    assert structs.replace(line, **changed) == LINE


def test_lines_that_nobody_adjusted_and_lines_that_are_gone_are_left():
    other = fee_of(1)
    gone = structs.replace(fee_of(2), adjustment=as_stored(Adjustment(units=Decimal(1))))
    assert adjusted([LINE, other], [LINE, gone]) == [LINE, other]
