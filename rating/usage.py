"""What was used so far, as much of it as a price needs to go on from."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from rating.exact import ZERO


class Total(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Usage of one charge (and filter) in one period so far, and its exact price.

    The next event costs `price(total + event) - price(total)`, so that the marginal prices of a
    period add up to its price computed at once. No list of events is kept: `free_events` and
    `free_units` are all that a free tier remembers of them. Encodes to JSON with msgspec.
    """

    units: Decimal = ZERO
    events: int = 0
    amount: Decimal = ZERO
    free_events: int = 0
    """Events that the free tier has taken."""
    free_units: Decimal = ZERO
    """Running total at which the free tier stands or ended."""


ZERO_TOTAL: Final = Total()
