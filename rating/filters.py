"""Which filter of a charge takes an event.

A metric declares keys and their values, a charge filter picks values for some keys. An event
goes to the matching filter with the most keys; among those a value named beats `ALL_VALUES`, a
bound beats none, and after that the filter defined first wins. An event that no filter takes goes
to the default bucket.

A value such as `>200000` is a *bound*: it takes every number above it, and of several bounds the
highest below the number. The price of a whole call may so depend on its size: what is filtered by
`context_tokens` is priced at one rate, unlike the ranges of a graduated price.

Filters are compiled by *shape* (which keys they have, and which of them take all values or have
bounds), so finding one costs a dictionary look-up per shape (and per bound of the charge below the
number), no matter how many filters there are. What was found for values that are plain texts is
remembered: usage names the same few over and over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final, Literal, TypeAlias

from rating.buckets import Bucket, bucket_of
from rating.charges import Charge, ChargeFilter
from rating.errors import MissingProperty, RatingError, UnknownPrice
from rating.quantities import quantity
from rating.texts import as_text

ALL_VALUES: Final = "__ALL_FILTER_VALUES__"

_FOUND_MAX: Final = 512
"""So many answers a charge remembers."""

_TEXTS_LENGTH_MAX: Final = 512
"""Texts that are longer together are not worth remembering."""

_PLAIN: Final = frozenset({str, type(None)})

_BOUND: Final = re.compile(r">(0|[1-9][0-9]{0,17})")

_Found: TypeAlias = tuple[int, Bucket]  # the position of the filter's definition, and its bucket
_Rank: TypeAlias = tuple[int, int, int]

_Kind: TypeAlias = Literal["named", "all", "above"]
_Pattern: TypeAlias = tuple[tuple[str, _Kind], ...]


def bound(value: str) -> int | None:
    """The number that a filter's value is a bound of: what lies above it is taken.

    >>> bound(">200000"), bound("200000")
    (200000, None)
    """
    match = _BOUND.fullmatch(value)
    return None if match is None else int(match[1])


def _kind(values: Iterable[str]) -> _Kind:
    if ALL_VALUES in values:
        return "all"
    return "above" if all(bound(value) is not None for value in values) else "named"


class _Shape:
    """The filters of a charge that have the same keys, with all values or bounds of the same."""

    __slots__ = ("_any_of", "_bounded", "_bounds", "_by_values", "_keys", "rank")

    def __init__(self, pattern: _Pattern, declared: Mapping[str, frozenset[str]]) -> None:
        self._keys = tuple(key for key, _ in pattern)
        # Per key: the declared values if all are taken, else None. Of a key that the metric does
        # not declare, "all" is nothing.
        self._any_of = tuple(
            declared.get(key, frozenset()) if kind == "all" else None for key, kind in pattern
        )
        # Per position of a key with bounds: they and their texts, the highest first.
        self._bounds: dict[int, list[tuple[int, str]]] = {
            position: [] for position, (_, kind) in enumerate(pattern) if kind == "above"
        }
        self._bounded: set[tuple[str, ...]] = set()  # the other values beside them
        self._by_values: dict[tuple[str, ...], _Found] = {}
        takes_all = sum(1 for values in self._any_of if values is not None)
        self.rank: _Rank = (-len(pattern), takes_all, -len(self._bounds))

    def add(self, position: int, chosen: ChargeFilter, bucket: Bucket) -> None:
        taken = [
            (ALL_VALUES,) if any_of is not None else chosen.values[key]
            for key, any_of in zip(self._keys, self._any_of, strict=True)
        ]
        for values in product(*taken):
            self._by_values.setdefault(values, (position, bucket))
            if self._bounds:
                self._bounded.add(self._without_bounds(values))
        for place, bounds in self._bounds.items():
            new = {(int(value[1:]), value) for value in taken[place]}
            bounds[:] = sorted(new.union(bounds), reverse=True)

    def find(self, properties: Mapping[str, object]) -> _Found | None:
        """The filter that takes the event. Raises InvalidQuantity for what it has a bound on."""
        values: list[str] = []
        for place, (key, any_of) in enumerate(zip(self._keys, self._any_of, strict=True)):
            value = properties.get(key)
            if place in self._bounds and value is not None:
                values.append("")
                continue
            text = value if type(value) is str else as_text(value)
            if text is None:
                return None
            if any_of is not None:
                if text not in any_of:
                    return None
                text = ALL_VALUES
            values.append(text)
        if self._bounds:
            return self._find_above(values, properties)
        return self._by_values.get(tuple(values))

    def _find_above(self, values: list[str], properties: Mapping[str, object]) -> _Found | None:
        if tuple(values) not in self._bounded:
            return None
        below: list[list[str]] = []
        for place, bounds in self._bounds.items():
            number = quantity(properties[self._keys[place]], field=self._keys[place])
            below.append([text for start, text in bounds if number > start])
        for chosen in product(*below):
            for place, text in zip(self._bounds, chosen, strict=True):
                values[place] = text
            found = self._by_values.get(tuple(values))
            if found is not None:
                return found
        return None

    def _without_bounds(self, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("" if place in self._bounds else text for place, text in enumerate(values))


class Buckets:
    """The filters of one charge, compiled, with its default price.

    `declared` are the values that the metric names per key.
    """

    __slots__ = ("_all", "_default", "_found", "_keys", "_known", "_shapes", "code")

    def __init__(self, charge: Charge, *, declared: Mapping[str, Iterable[str]]) -> None:
        self.code = charge.billable_metric_code
        self._default = None if charge.model is None else bucket_of(charge, charge.model)
        self._all = [] if self._default is None else [self._default]
        self._known: dict[str, set[str]] = {}
        named: Counter[str] = Counter()
        shapes: dict[_Pattern, _Shape] = {}
        declared_values = {key: frozenset(values) for key, values in declared.items()}
        for position, chosen in enumerate(charge.filters):
            pattern: _Pattern = tuple(
                (key, _kind(chosen.values[key])) for key in sorted(chosen.values)
            )
            if pattern not in shapes:
                shapes[pattern] = _Shape(pattern, declared_values)
            bucket = bucket_of(charge, chosen.model, filter_id=chosen.id)
            self._all.append(bucket)
            shapes[pattern].add(position, chosen, bucket)
            named.update(chosen.values.keys())
            for key, kind in pattern:
                self._known.setdefault(key, set()).update(
                    declared_values.get(key, ()) if kind == "all" else chosen.values[key]
                )
        self._keys = tuple(key for key, _ in named.most_common())
        self._shapes = sorted(shapes.values(), key=lambda shape: shape.rank)
        self._found: dict[tuple[object, ...], Bucket] = {}

    def all(self) -> Iterable[Bucket]:
        """Every bucket, the default one first."""
        return self._all

    def find(self, properties: Mapping[str, object]) -> Bucket:
        """The bucket this event goes to, or why it has no price."""
        values = tuple(map(properties.get, self._keys))
        try:
            bucket = self._found.get(values)
        except TypeError:  # a list or an object has no hash
            return self._search(properties)
        if bucket is None:
            bucket = self._search(properties)
            self._remember(values, bucket)
        return bucket

    def _remember(self, values: tuple[object, ...], bucket: Bucket) -> None:
        # Of other types, what is equal may have different names: True and 1, or 1 and 1.0.
        if not _PLAIN.issuperset(map(type, values)):
            return
        if sum(len(value) for value in values if isinstance(value, str)) > _TEXTS_LENGTH_MAX:
            return
        if len(self._found) >= _FOUND_MAX:
            self._found.clear()
        self._found[values] = bucket

    def _search(self, properties: Mapping[str, object]) -> Bucket:
        found: _Found | None = None
        rank: _Rank | None = None
        for shape in self._shapes:
            if found is not None and shape.rank != rank:
                break
            match = shape.find(properties)
            if match is not None and (found is None or match[0] < found[0]):
                found, rank = match, shape.rank
        if found is not None:
            return found[1]
        if self._default is None:
            raise self._refusal(properties)
        return self._default

    def _refusal(self, properties: Mapping[str, object]) -> RatingError:
        """Name the property that no filter knows, absent or unlisted: what most name first."""
        for key in self._keys:
            if properties.get(key) is None:
                return MissingProperty(key)
            known = self._known[key]
            if as_text(properties[key]) not in known and _kind(known) != "above":
                return UnknownPrice(self.code, field=key)
        return UnknownPrice(self.code, field=next(iter(self._keys), "code"))
