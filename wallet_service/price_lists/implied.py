"""Prices that follow from others.

A list says what a batch costs and what a long context does, but not always what both at once do.
Filters know no such rule (the one with the most keys wins, and of equals the first), so what the
list's own maker would take for both becomes a price of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from rating.filters import bound
from wallet_service.price_lists.lists import Price, When, when_of
from wallet_service.price_lists.metrics import CACHE_TTL, CONTEXT, SERVICE_TIER


class Case(Struct, frozen=True):
    """What may be so of one call at once."""

    cache_ttl: str | None = None
    context: int | None = None
    """The bound that the context is above."""
    service_tier: str | None = None


Fallbacks: TypeAlias = Callable[[Case], Iterator[Case]]
"""Which cases to look at, in order, where a case has no price of its own."""


def implied(prices: Iterable[Price], fallbacks: Fallbacks) -> list[Price]:
    """The prices of all cases that these prices distinguish and do not list."""
    families: dict[tuple[str, str], dict[Case, Price]] = {}
    for price in prices:
        case = _case(price)
        if case is not None:
            families.setdefault((price.model, price.metric), {})[case] = price
    return [new for family in families.values() for new in _implied(family, fallbacks)]


def _implied(family: dict[Case, Price], fallbacks: Fallbacks) -> Iterator[Price]:
    cases = product(
        dict.fromkeys([None, *(case.cache_ttl for case in family)]),
        dict.fromkeys([None, *(case.context for case in family)]),
        dict.fromkeys([None, *(case.service_tier for case in family)]),
    )
    for case in (Case(*values) for values in cases):
        if case in family or _size(case) < 2:  # noqa: PLR2004 (else there is nothing to weigh)
            continue
        price = next(filter(None, (_listed(family, each) for each in fallbacks(case))), None)
        if price is not None:
            yield replace(price, when=_when(case), is_implied=True)


def _listed(family: dict[Case, Price], case: Case) -> Price | None:
    """The price of a case; above a bound, that of the highest one which is not above it."""
    if case.context is None:
        return family.get(case)
    below = [
        other
        for other in family
        if other.context is not None
        and other.context <= case.context
        and replace(other, context=None) == replace(case, context=None)
    ]
    return family[max(below, key=lambda other: other.context or 0)] if below else None


def _size(case: Case) -> int:
    return 3 - (case.cache_ttl, case.context, case.service_tier).count(None)


def _case(price: Price) -> Case | None:
    """The case that a price is for; None if it depends on something else as well."""
    case = Case()
    for key, values in price.when:
        if len(values) != 1 or key not in {CACHE_TTL, CONTEXT, SERVICE_TIER}:
            return None
        (value,) = values
        if key == CACHE_TTL:
            case = replace(case, cache_ttl=value)
        elif key == SERVICE_TIER:
            case = replace(case, service_tier=value)
        else:
            case = replace(case, context=bound(value))
    return case


def _when(case: Case) -> When:
    values = {
        CACHE_TTL: case.cache_ttl,
        CONTEXT: None if case.context is None else f">{case.context}",
        SERVICE_TIER: case.service_tier,
    }
    return when_of({key: (value,) for key, value in values.items() if value is not None})
