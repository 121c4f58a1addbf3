"""What one coming event costs, given what was used so far.

Negative quantities are corrections. They lower the total, and the price so far with it, but never
below zero: `marginal` may be negative, by no more than was charged; later usage is priced from the
lower total. `linear`, which knows no total, gives nothing back: the true-up at the period's end
does. Authorizations and captures do not take negative quantities; their callers refuse them.
"""

from __future__ import annotations

from decimal import Decimal

from rating.charge_models import Standard
from rating.exact import EXACT, ZERO
from rating.rate_cards import Line
from rating.usage import Total


def marginal(line: Line, total: Total) -> tuple[Decimal, Total]:
    """What the line adds to the price of the total, and the total after it.

    The marginal prices of any sequence of events add up to the price of all of them at once.
    """
    after = line.model.add(total, line.units)
    return EXACT.subtract(after.amount, total.amount), after


def linear(line: Line) -> Decimal:
    """The price of a line whose model is linear: exact, and no total needed."""
    model = line.model
    assert isinstance(model, Standard), "only a linear model has a price without a total"
    return model.price(line.units)


def upper_bound(line: Line, total: Total) -> Decimal:
    """The most the line can cost from this total on, if up to its units are used: what to hold.

    Every model of ours costs more, or the same, for more units, so it is the marginal price of
    all of them. Other usage that comes in between may move the total (end a free tier, open a
    package); what the capture then costs above the hold is the capture's business.
    """
    if line.model.is_linear:
        return linear(line)
    return max(marginal(line, total)[0], ZERO)
