"""What one version of a plan's prices changes in another, and what of it a later one takes over.

Pure. A version that waits for its time is not to undo what is published meanwhile, nor the other
way round: it keeps what it changed, and takes over the rest.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

from msgspec import Struct, structs, to_builtins

from invoicing.charge_filters import PlanChargeFilter
from invoicing.charge_options import check_options
from invoicing.charges import PlanCharge
from invoicing.errors import Invalid
from invoicing.fixed_charges import PlanFixedCharge, check_fixed_charge
from rating.errors import RatingError

_Priced = TypeVar("_Priced", PlanCharge, PlanFixedCharge, PlanChargeFilter)

CHANGES_MAX: Final = 100
"""How many charges a summary lists, and how many filters of all of them."""


class Prices(Struct, frozen=True, kw_only=True):
    """All that a version of a plan charges."""

    charges: list[PlanCharge] = []
    fixed_charges: list[PlanFixedCharge] = []


class FieldChange(Struct, frozen=True, kw_only=True):
    """A field before and after."""

    before: Any
    after: Any


class FilterChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the price of some values."""

    values: dict[str, list[str]]
    before: dict[str, Any] | None = None
    """Its properties; none: it is new."""
    after: dict[str, Any] | None = None
    """Its properties; none: it is gone."""


class PriceChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one charge, or of one fixed charge."""

    code: str
    kind: str
    """`charge` or `fixed_charge`."""
    change: str
    """`added`, `removed` or `changed`."""
    fields: dict[str, FieldChange] = {}
    filters: list[FilterChange] = []
    filters_changed: int = 0
    """How many filters are new, gone or different; not all of them may be listed."""


class PriceChanges(Struct, frozen=True, kw_only=True):
    """What a version changes, in short."""

    entries: list[PriceChange]
    count: int
    """How many there are in all; not all of them may be listed."""


def summarize(before: Prices | None, after: Prices) -> PriceChanges:
    """What becomes other by a version."""
    before = before or Prices()
    entries = [
        *_compare(before.charges, after.charges, kind="charge"),
        *_compare(before.fixed_charges, after.fixed_charges, kind="fixed_charge"),
    ]
    listed: list[PriceChange] = []
    left = CHANGES_MAX
    for entry in entries[:CHANGES_MAX]:
        listed.append(structs.replace(entry, filters=entry.filters[:left]))
        left = max(left - len(entry.filters), 0)
    return PriceChanges(entries=listed, count=len(entries))


def carry(before: Prices, after: Prices, later: Prices) -> Prices:
    """The prices of a later version once `before` has become `after`: raises nothing.

    The later version was made from `before`. What it changed itself stays, field by field.
    """
    return Prices(
        charges=_carry_all(before.charges, after.charges, later.charges),
        fixed_charges=_carry_all(before.fixed_charges, after.fixed_charges, later.fixed_charges),
    )


def _carry_all(
    before: Sequence[_Priced], after: Sequence[_Priced], later: Sequence[_Priced]
) -> list[_Priced]:
    old = {entry.id: entry for entry in before}
    new = {entry.id: entry for entry in after}
    kept: list[_Priced] = []
    for entry in later:
        if entry.id not in old:
            kept.append(entry)  # the later version has it of its own
        elif entry.id in new:  # else it is gone, also from there
            kept.append(_carry_one(old[entry.id], new[entry.id], entry))
    there = {entry.id for entry in later}
    added = [entry for entry in after if entry.id not in old and entry.id not in there]
    return [*kept, *added]


def _carry_one(before: _Priced, after: _Priced, later: _Priced) -> _Priced:
    if before in (after, later):
        return after if before == later else later
    carried: dict[str, Any] = {}
    for name in before.__struct_fields__:
        old, new, own = (getattr(one, name) for one in (before, after, later))
        if name == "filters":
            carried[name] = _carry_all(old, new, own)
        else:
            carried[name] = new if own == old else own
    return _possible(structs.replace(later, **carried), instead=later)


def _possible(carried: _Priced, *, instead: _Priced) -> _Priced:
    """What was carried over, unless its parts do not go together: then the later one as it was."""
    try:
        if isinstance(carried, PlanCharge):
            check_options(carried)
            carried.for_rating()
        elif isinstance(carried, PlanFixedCharge):
            check_fixed_charge(carried)
    except (Invalid, RatingError):
        return instead
    return carried


def _compare(
    before: Sequence[PlanCharge] | Sequence[PlanFixedCharge],
    after: Sequence[PlanCharge] | Sequence[PlanFixedCharge],
    *,
    kind: str,
) -> list[PriceChange]:
    old = {entry.id: entry for entry in before}
    kept = {entry.id for entry in after}
    changes = [
        PriceChange(code=entry.code, kind=kind, change="removed")
        for entry in before
        if entry.id not in kept
    ]
    for entry in after:
        if entry.id not in old:
            changes.append(PriceChange(code=entry.code, kind=kind, change="added"))
        elif entry != old[entry.id]:
            changes.append(_changed(old[entry.id], entry, kind=kind))
    return changes


def _changed(before: Struct, after: PlanCharge | PlanFixedCharge, *, kind: str) -> PriceChange:
    fields: dict[str, FieldChange] = {}
    filters: list[FilterChange] = []
    for name in after.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if name == "filters":
            filters = _filter_changes(old, new)
        elif old != new:
            fields[name] = FieldChange(before=_in_short(name, old), after=_in_short(name, new))
    return PriceChange(
        code=after.code,
        kind=kind,
        change="changed",
        fields=fields,
        filters=filters,
        filters_changed=len(filters),
    )


def _filter_changes(
    before: Sequence[PlanChargeFilter], after: Sequence[PlanChargeFilter]
) -> list[FilterChange]:
    old = {entry.id: entry for entry in before}
    kept = {entry.id for entry in after}
    changes = [
        FilterChange(values=entry.values, before=entry.properties)
        for entry in before
        if entry.id not in kept
    ]
    changes += [
        FilterChange(
            values=entry.values,
            before=old[entry.id].properties if entry.id in old else None,
            after=entry.properties,
        )
        for entry in after
        if entry != old.get(entry.id)
    ]
    return changes


def _in_short(name: str, value: Any) -> Any:
    """A field's value; of long lists, how long they are."""
    if name == "metric_filters":
        return {key: len(values) for key, values in cast("dict[str, list[str]]", value).items()}
    shown: Any = to_builtins(value)
    if name == "alternatives":
        for entry in shown:
            entry["filters"] = len(entry["filters"])
            del entry["created_at"]
    return shown
