"""Events played through a charge model one by one, as they are debited in real time."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

from rating import ZERO_TOTAL, ChargeModel, Line, Total, marginal

CHARGE_ID = UUID(int=1)


def line(model: ChargeModel, units: Decimal | str | int) -> Line:
    """A line of the default bucket."""
    return Line(CHARGE_ID, None, "api_calls", "USD", Decimal(units), model)


def play(
    model: ChargeModel, quantities: Iterable[Decimal | str | int]
) -> tuple[list[Decimal], Total]:
    """What each event costs when it comes in, and the total after all of them."""
    amounts: list[Decimal] = []
    total = ZERO_TOTAL
    for units in quantities:
        amount, total = marginal(line(model, units), total)
        amounts.append(amount)
    return amounts, total


def marginal_amounts(model: ChargeModel, *quantities: Decimal | str | int) -> list[Decimal]:
    """What each event costs when it comes in."""
    return play(model, quantities)[0]
