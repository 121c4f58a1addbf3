"""Which filter of a charge takes an event.

A metric declares keys and their values, a charge filter picks values for some keys. An event
goes to the matching filter with the most keys; among those a value named beats `ALL_VALUES`, and
after that the filter defined first wins. An event that no filter takes goes to the default bucket.

Filters are compiled by *shape* (which keys they have, and which of them take all values), so
finding one costs a dictionary look-up per shape, no matter how many filters there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from rating.buckets import Bucket, bucket_of
from rating.charges import Charge, ChargeFilter
from rating.errors import MissingProperty, RatingError, UnknownPrice
from rating.texts import as_text

ALL_VALUES: Final = "__ALL_FILTER_VALUES__"

_Found: TypeAlias = tuple[int, Bucket]  # the position of the filter's definition, and its bucket


class _Shape:
    """The filters of a charge that have the same keys and take all values of the same ones."""

    __slots__ = ("_any_of", "_by_values", "_keys", "rank")

    def __init__(self, keys: tuple[str, ...], any_of: tuple[frozenset[str] | None, ...]) -> None:
        self._keys = keys
        self._any_of = any_of  # per key: the declared values if all are taken, else None
        self._by_values: dict[tuple[str, ...], _Found] = {}
        takes_all = sum(1 for values in any_of if values is not None)
        self.rank = (-len(keys), takes_all)

    def add(self, position: int, chosen: ChargeFilter, bucket: Bucket) -> None:
        combinations: list[tuple[str, ...]] = [()]
        for key, any_of in zip(self._keys, self._any_of, strict=True):
            values = (ALL_VALUES,) if any_of is not None else chosen.values[key]
            combinations = [(*before, value) for before in combinations for value in values]
        for values in combinations:
            self._by_values.setdefault(values, (position, bucket))

    def find(self, properties: Mapping[str, object]) -> _Found | None:
        values: list[str] = []
        for key, any_of in zip(self._keys, self._any_of, strict=True):
            value = properties.get(key)
            text = value if type(value) is str else as_text(value)
            if text is None:
                return None
            if any_of is not None:
                if text not in any_of:
                    return None
                text = ALL_VALUES
            values.append(text)
        return self._by_values.get(tuple(values))


class Buckets:
    """The filters of one charge, compiled, with its default price.

    `declared` are the values that the metric names per key.
    """

    __slots__ = ("_all", "_default", "_known", "_shapes", "code")

    def __init__(self, charge: Charge, *, declared: Mapping[str, Iterable[str]]) -> None:
        self.code = charge.billable_metric_code
        self._default = None if charge.model is None else bucket_of(charge, charge.model)
        self._all = [] if self._default is None else [self._default]
        self._known: dict[str, set[str]] = {}
        shapes: dict[tuple[tuple[str, bool], ...], _Shape] = {}
        declared_values = {key: frozenset(values) for key, values in declared.items()}
        for position, chosen in enumerate(charge.filters):
            pattern = tuple(
                (key, ALL_VALUES in chosen.values[key]) for key in sorted(chosen.values)
            )
            if pattern not in shapes:
                shapes[pattern] = _Shape(
                    tuple(key for key, _ in pattern),
                    tuple(
                        # Of a key that the metric does not declare, "all" is nothing.
                        declared_values.get(key, frozenset()) if takes_all else None
                        for key, takes_all in pattern
                    ),
                )
            bucket = bucket_of(charge, chosen.model, filter_id=chosen.id)
            self._all.append(bucket)
            shapes[pattern].add(position, chosen, bucket)
            for key, takes_all in pattern:
                self._known.setdefault(key, set()).update(
                    declared_values.get(key, ()) if takes_all else chosen.values[key]
                )
        self._shapes = sorted(shapes.values(), key=lambda shape: shape.rank)

    def all(self) -> Iterable[Bucket]:
        """Every bucket, the default one first."""
        return self._all

    def find(self, properties: Mapping[str, object]) -> Bucket:
        """The bucket this event goes to, or why it has no price."""
        found: _Found | None = None
        rank: tuple[int, int] | None = None
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
        """Name the property that no filter knows: absent, or of an unlisted value."""
        for key, known in self._known.items():
            if properties.get(key) is None:
                return MissingProperty(key)
            if as_text(properties[key]) not in known:
                return UnknownPrice(self.code, field=key)
        return UnknownPrice(self.code, field=next(iter(self._known), "code"))
