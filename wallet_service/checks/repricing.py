"""One event priced again, from what is stored of it alone, and compared with what it cost. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from invoicing.plans import INTERVALS_A_YEAR
from ledger import money
from ledger.errors import InvalidAmount
from ledger.money import Rounding
from rating import quotes
from rating.errors import RatingError
from rating.exact import EXACT, ZERO
from rating.rate_cards import Line, RateCard
from wallet_service.decision.commands import AMOUNT_CODE, Cycle
from wallet_service.decision.pricing import share_left
from wallet_service.decision.state import EventLine, Paid
from wallet_service.operations import RESERVED_PREFIX

__all__ = ["RatedEvent", "difference"]

_OF_ONE_EVENT: Final = (
    "charge_id",
    "filter_id",
    "units",
    "group",
    "member",
    "removes",
    "precise_amount_cents",
)
"""What an event's line says of the event itself, apart from prices."""


class RatedEvent(Struct, frozen=True, kw_only=True):
    """A stored event that has a price, and what it was priced by."""

    transaction_id: str
    code: str
    timestamp: datetime
    properties: dict[str, Any]
    precise_total_amount_cents: Decimal | None = None
    is_prepaid: bool
    asset_code: str | None
    lines: list[EventLine]
    paid: list[Paid] = []
    is_reversal: bool = False
    reversed_lines: list[EventLine] | None = None
    """Of a reversal: those of the event that it takes back."""
    scale: int | None
    """How many decimals the asset is counted in."""
    card: RateCard | None = None
    """The prices of the version that it names."""
    cycle: Cycle | None = None
    """Of its subscription."""

    @property
    def is_of_authorization(self) -> bool:
        """Whether a capture or a refund wrote it: the money is named by the authorization."""
        return self.transaction_id.startswith(RESERVED_PREFIX)


def difference(event: RatedEvent) -> str | None:
    """What is otherwise than it was when the event is priced again; None if nothing is."""
    if event.scale is None:
        return f"there is no asset {event.asset_code}"
    found = _paid_otherwise(event)
    if found is None:
        found = _reversed_otherwise(event) if event.is_reversal else _priced_otherwise(event)
    return found or next(_rounded_otherwise(event, event.scale), None)


def _paid_otherwise(event: RatedEvent) -> str | None:
    """Prepaid events are paid for to the unit, postpaid ones not at all."""
    paid = sum(entry.amount_minor for entry in event.paid)
    cost = sum(line.amount_minor for line in event.lines)
    due = cost if event.is_prepaid and not event.is_of_authorization else 0
    return None if paid == due else f"its lines come to {cost}, and {paid} was paid"


def _rounded_otherwise(event: RatedEvent, scale: int) -> Iterator[str]:
    """What was charged is the exact price, rounded half away from zero."""
    for line in event.lines:
        try:
            rounded = money.to_minor(line.exact, scale, Rounding.HALF_AWAY)
        except InvalidAmount as error:
            yield f"{_name(line)}: {error}"
        else:
            if rounded != line.amount_minor:
                yield f"{_name(line)}: {line.exact:f} was charged as {line.amount_minor}"


def _is_amount(lines: Sequence[EventLine]) -> bool:
    """Whether these are an amount that was named, rather than the price of some usage."""
    return len(lines) == 1 and lines[0].charge_id is None


def _reversed_otherwise(event: RatedEvent) -> str | None:
    """A reversal is the negative of what it takes back: all of it, or an amount."""
    before = event.reversed_lines
    if before is None:
        return "what it takes back is not there"
    if any(line.amount_minor > 0 for line in event.lines):
        return "a reversal that charges"
    if _is_amount(event.lines):
        return None
    negative = [_negative(line) for line in event.lines]
    if negative == [replace(line, priced_from=None) for line in before]:
        return None
    return "it is not the negative of what it takes back"


def _negative(line: EventLine) -> EventLine:
    cents = line.precise_amount_cents
    return replace(
        line,
        units=EXACT.minus(line.units),
        exact=EXACT.minus(line.exact),
        amount_minor=-line.amount_minor,
        precise_amount_cents=None if cents is None else EXACT.minus(cents),
    )


def _priced_otherwise(event: RatedEvent) -> str | None:
    """The lines of the event are those of its price version, at the same exact prices."""
    is_refund = event.is_of_authorization and all(line.amount_minor < 0 for line in event.lines)
    if _is_amount(event.lines) and (event.code == AMOUNT_CODE or is_refund):
        return None
    if event.card is None:
        return "it names no price version that there is"
    return _differs(event, event.card)


def _differs(event: RatedEvent, card: RateCard) -> str | None:
    # A capture keeps the price that its usage named in the lines that took it.
    cents = (line.precise_amount_cents for line in event.lines)
    named = next((one for one in cents if one is not None), None)
    try:
        lines = card.lines(
            event.code,
            event.properties,
            asset_code=event.asset_code,
            precise_amount_cents=named
            if event.is_of_authorization
            else event.precise_total_amount_cents,
        )
    except RatingError as error:
        return f"its price version does not price it: {error}"
    if len(lines) != len(event.lines):
        return f"it was priced by {len(event.lines)} charges, its price version has {len(lines)}"
    for line, stored in zip(lines, event.lines, strict=True):
        for name in _OF_ONE_EVENT:
            was, now = getattr(stored, name), getattr(line, name)
            if was != now:
                return f"{_name(stored)}: its {name} was {was}, and is {now}"
        if not _costs_the_same(line, stored, event, card):
            return f"{_name(stored)}: {stored.exact:f} is not its price"
    return None


def _costs_the_same(line: Line, stored: EventLine, event: RatedEvent, card: RateCard) -> bool:
    if line.timing == "linear":
        return quotes.linear(line) == stored.exact
    if line.timing == "deferred":
        return stored.exact == ZERO
    if stored.priced_from is None:
        return False
    if not line.bucket.prorated:
        return _marginal(line, stored, event, card, None) == stored.exact
    if event.cycle is None:
        return False
    # A plan's interval may change, and a period's days with it: each is tried, the present first.
    intervals = dict.fromkeys((event.cycle.interval, *INTERVALS_A_YEAR))
    cycles = (replace(event.cycle, interval=interval) for interval in intervals)
    return any(_marginal(line, stored, event, card, cycle) == stored.exact for cycle in cycles)


def _marginal(
    line: Line, stored: EventLine, event: RatedEvent, card: RateCard, cycle: Cycle | None
) -> Decimal:
    assert stored.priced_from is not None, "a running price goes on from a total"
    exact, _ = quotes.marginal(
        line,
        stored.priced_from,
        plan_version_id=card.plan_version_id,
        is_member=stored.was_member,
        share=None if cycle is None else share_left(line, cycle, at=event.timestamp),
    )
    return exact


def _name(line: EventLine) -> str:
    return "an amount" if line.charge_id is None else f"charge {line.charge_id}"
