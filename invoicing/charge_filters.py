"""The filters of a charge: prices of their own for events with some values. Pure.

A filter keeps its id as long as its values stay the same: usage is counted by that id.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from invoicing.charge_properties import model_of, needs_settings, read_properties
from invoicing.errors import Invalid
from ledger.ids import new_uuid
from rating.charges import ChargeFilter
from rating.filters import ALL_VALUES

FILTERS_MAX: Final = 20_000
_COMBINATIONS_MAX: Final = 100_000

_Key: TypeAlias = frozenset[tuple[str, frozenset[str]]]
Declared: TypeAlias = Mapping[str, frozenset[str]]
"""The values that a metric declares, by key."""


class PlanChargeFilter(Struct, frozen=True, kw_only=True):
    """A price of its own for events with these values."""

    id: UUID
    values: dict[str, list[str]]
    properties: dict[str, Any]
    invoice_display_name: str | None = None
    created_at: datetime

    def for_rating(self, charge_model: str) -> ChargeFilter:
        """The same, as `rating` compiles it."""
        model = model_of(charge_model, self.properties)
        assert model is not None, "a filter is stored with a price"
        return ChargeFilter(
            id=self.id,
            values={key: tuple(values) for key, values in self.values.items()},
            model=model,
        )


class FilterChanges(Struct, kw_only=True):
    """A filter as a caller gives it. In a list, filters are replaced as a whole."""

    values: dict[str, list[str]] | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    invoice_display_name: str | UnsetType | None = UNSET


class MergedFilters(Struct, frozen=True):
    """Filters as they will be stored."""

    filters: list[PlanChargeFilter]
    group_keys: dict[str, list[str]]
    """The pricing group keys that filters named, by the field where they stood."""


def declared_values(filters: Mapping[str, Sequence[str]]) -> Declared:
    """The values that a metric declares, to be looked up in."""
    return {key: frozenset(values) for key, values in filters.items()}


def merge_filters(
    existing: Sequence[PlanChargeFilter],
    wanted: Sequence[FilterChanges],
    *,
    charge_model: str,
    declared: Declared,
    now: datetime,
) -> MergedFilters:
    """The filters that replace the existing ones, in the order of `wanted`; raises Invalid."""
    if len(wanted) > FILTERS_MAX:
        raise Invalid.field("filters", "invalid_count")
    by_values = {_key(entry.values): entry for entry in existing}
    merged: list[PlanChargeFilter] = []
    group_keys: dict[str, list[str]] = {}
    for position, changes in enumerate(wanted):
        values = changes.values or {}
        try:
            entry, keys = merge_filter(
                by_values.get(_key(values)),
                changes,
                charge_model=charge_model,
                declared=declared,
                now=now,
            )
        except Invalid as error:
            raise error.under(f"filters.{position}") from None
        merged.append(entry)
        if keys is not None:
            group_keys[f"filters.{position}.properties.pricing_group_keys"] = keys
    check_filters(merged)
    return MergedFilters(merged, group_keys)


def merge_filter(
    before: PlanChargeFilter | None,
    changes: FilterChanges,
    *,
    charge_model: str,
    declared: Declared,
    now: datetime,
) -> tuple[PlanChargeFilter, list[str] | None]:
    """A filter after the changes, and the pricing group keys that they name; raises Invalid."""
    values = changes.values or (before.values if before else {})
    if not values or not all(_is_declared(declared, *entry) for entry in values.items()):
        raise Invalid.field("values", "value_is_invalid")
    if isinstance(changes.properties, UnsetType):
        properties, group_keys = (before.properties if before else {}), None
    else:
        given = read_properties(charge_model, changes.properties)
        properties, group_keys = given.settings, given.pricing_group_keys
    if not properties and needs_settings(charge_model):
        raise Invalid.field("properties", "value_is_mandatory")
    is_same = before is not None and _key(before.values) == _key(values)
    name = changes.invoice_display_name
    if isinstance(name, UnsetType):
        name = before.invoice_display_name if before else None
    entry = PlanChargeFilter(
        id=before.id if before and is_same else new_uuid(now),
        values=before.values if before and is_same else values,
        properties=properties,
        invoice_display_name=name,
        created_at=before.created_at if before and is_same else now,
    )
    return entry, group_keys


def check_filters(filters: Sequence[PlanChargeFilter]) -> None:
    """Refuse what would never be found, and what would take too much memory to find quickly."""
    seen: set[_Key] = set()
    combinations = 0
    for position, entry in enumerate(filters):
        key = _key(entry.values)
        if key in seen:
            raise Invalid.field(f"filters.{position}.values", "value_is_duplicated")
        seen.add(key)
        combinations += math.prod(len(chosen) for chosen in entry.values.values())
    if combinations > _COMBINATIONS_MAX or len(filters) > FILTERS_MAX:
        raise Invalid.field("filters", "invalid_count")


def _is_declared(declared: Declared, key: str, chosen: Sequence[str]) -> bool:
    """Whether a filter may choose these values of a key."""
    known = declared.get(key)
    return (
        known is not None
        and bool(chosen)
        and len(set(chosen)) == len(chosen)
        and (list(chosen) == [ALL_VALUES] or known.issuperset(chosen))
    )


def _key(values: Mapping[str, Sequence[str]]) -> _Key:
    """What makes a filter the same as another."""
    return frozenset((key, frozenset(chosen)) for key, chosen in values.items())
