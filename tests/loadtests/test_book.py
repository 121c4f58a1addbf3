"""Money that no answer accounts for is found, and requests that wrk dropped are allowed for."""

from decimal import Decimal

import pytest

from loadtests.speed.book import NOTHING, Moved, mismatch
from loadtests.speed.measured import Measured

HOLD = Moved(held=Decimal("0.5"))
DEBIT = Moved(charged=Decimal("0.5"))
PAIR = Moved(held=Decimal("0.5"), charged=Decimal("0.25"))


def seen(done: int, captured: int = 0, *, is_drained: bool = False, errors: int = 0) -> Measured:
    return Measured(
        seconds=1,
        requests=done + captured,
        errors=errors,
        p50_ms=1,
        p99_ms=1,
        done=done,
        captured=captured,
        is_drained=is_drained,
    )


def moved(held: str = "0", charged: str = "0") -> Moved:
    return Moved(Decimal(held), Decimal(charged))


@pytest.mark.parametrize(
    ("ledger", "unit", "answers", "wrong"),
    [
        (moved(held="5"), HOLD, seen(10), "0"),
        (moved(held="6"), HOLD, seen(10), "0"),  # two were under way
        (moved(held="6.5"), HOLD, seen(10), "0.5"),  # three cannot have been
        (moved(held="4.5"), HOLD, seen(10), "0.5"),  # an answer without a hold
        (moved(held="5.1"), HOLD, seen(10), "0.1"),  # not a whole one
        (moved(held="5.5"), HOLD, seen(10, is_drained=True), "0.5"),
        (moved(held="5.5"), HOLD, seen(10, is_drained=True, errors=1), "0"),
        (moved(held="5", charged="1"), HOLD, seen(10), "1"),
        (moved(charged="5"), DEBIT, seen(10), "0"),
        (moved(charged="4.5"), DEBIT, seen(10), "0.5"),
        (moved(held="1", charged="5"), DEBIT, seen(10), "1"),
        (moved(), NOTHING, seen(10), "0"),
        (moved(held="1"), NOTHING, seen(10), "1"),
        (moved(charged="1"), NOTHING, seen(10), "1"),
        (moved(charged="2.5"), PAIR, seen(10, 10), "0"),
        (moved(held="1", charged="2"), PAIR, seen(10, 8), "0"),
        (moved(held="0.5", charged="2.25"), PAIR, seen(10, 8), "0"),  # a capture was under way
        (moved(held="1.5", charged="2"), PAIR, seen(10, 8), "0"),  # a first half was
        (moved(held="0", charged="2"), PAIR, seen(10, 8), "1"),  # holds are missing
        (moved(held="2.5", charged="2"), PAIR, seen(10, 8), "0.5"),  # more than can be
        (moved(held="1", charged="1.75"), PAIR, seen(10, 8), "0.25"),
    ],
)
def test_money_and_answers_are_compared(ledger, unit, answers, wrong):
    assert mismatch(ledger, unit, answers, connections=2) == Decimal(wrong)
