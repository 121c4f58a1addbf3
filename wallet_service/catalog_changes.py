"""What a price list changes in a plan, before anything is changed. Pure.

A price of the list is a filter of the charge that prices its metric: one model, and the conditions
under which the price holds. Filters that say something else are somebody's own, and are kept; so
are prices that the list does not name, unless they are to be pruned.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, TypeAlias

from msgspec import Struct, field

from invoicing.charge_changes import ChargeChanges
from invoicing.charge_filters import FilterChanges, PlanChargeFilter
from invoicing.charges import PlanCharge
from wallet_service.price_lists import Price, PriceList
from wallet_service.price_lists.metrics import FILTER_KEYS, METRICS, MODEL

CURRENCY: Final = "USD"
"""What price lists are in."""

_Values: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
_TENTH: Final = Decimal("0.1")


class CatalogConflict(Exception):
    """The organization has a metric or a charge of this code that means something else."""


class PriceChange(Struct, frozen=True, kw_only=True):
    """A price before and after; None: there is none."""

    metric: str
    model: str
    when: dict[str, tuple[str, ...]]
    before: Decimal | None
    after: Decimal | None

    @property
    def percent(self) -> Decimal | None:
        """By how much it rises or falls, to a tenth of a percent; None where that says nothing."""
        if not self.before or self.after is None:
            return None
        ratio = (self.after - self.before) / self.before * 100
        return ratio.quantize(_TENTH, rounding=ROUND_HALF_EVEN)


class Changes(Struct, frozen=True, kw_only=True):
    """What becomes of the prices of a plan."""

    added: tuple[PriceChange, ...]
    changed: tuple[PriceChange, ...]
    removed: tuple[PriceChange, ...]
    kept: int
    """How many there are that the list does not name, and that stay."""
    unchanged: int
    models_added: tuple[str, ...]
    models_removed: tuple[str, ...]
    charges: list[ChargeChanges] = field(default_factory=list[ChargeChanges])
    """The plan's charges as they are to be."""

    @property
    def are_any(self) -> bool:
        """Whether there is a new version in it."""
        return bool(self.added or self.changed or self.removed)

    @property
    def touch_what_is_there(self) -> bool:
        """Whether somebody's price becomes another one, or none."""
        return bool(self.changed or self.removed)


def compare(charges: Sequence[PlanCharge], price_list: PriceList, *, prune: bool) -> Changes:
    """What the list changes in these charges; raises CatalogConflict."""
    tally = _Tally(prune=prune)
    listed: dict[str, dict[_Values, Price]] = {}
    for price in price_list.prices:
        values = _key({MODEL: (price.model,), **dict(price.when)}.items())
        listed.setdefault(price.metric, {})[values] = price
    wanted: list[ChargeChanges] = []
    for charge in charges:
        if charge.code not in METRICS:
            wanted.append(ChargeChanges(id=charge.id))
            continue
        filters = tally.merge(charge, listed.pop(charge.code, {}))
        if filters or charge.properties:
            wanted.append(ChargeChanges(id=charge.id, filters=filters))
    wanted += [_new_charge(code, tally.add(listed[code])) for code in METRICS if code in listed]
    models_before, models_after = tally.models(before=True), tally.models(before=False)
    return Changes(
        added=tuple(tally.added),
        changed=tuple(tally.changed),
        removed=tuple(tally.removed),
        kept=tally.kept,
        unchanged=tally.unchanged,
        models_added=tuple(model for model in models_after if model not in models_before),
        models_removed=tuple(model for model in models_before if model not in models_after),
        charges=wanted,
    )


class _Tally:
    """What is found while a plan's charges are gone through."""

    def __init__(self, *, prune: bool) -> None:
        self._prune = prune
        self._models: list[tuple[str, bool, bool]] = []  # and whether it is there before, and after
        self.added: list[PriceChange] = []
        self.changed: list[PriceChange] = []
        self.removed: list[PriceChange] = []
        self.kept = self.unchanged = 0

    def merge(self, charge: PlanCharge, listed: dict[_Values, Price]) -> list[FilterChanges]:
        """The filters that a charge is to have: first those there were, at the list's prices."""
        prune = self._prune and _is_plain(charge)
        if listed:
            _check(charge)
        filters: list[FilterChanges] = []
        for entry in charge.filters:
            values = _key((key, tuple(chosen)) for key, chosen in entry.values.items())
            price = listed.pop(values, None)
            if price is None and prune and _is_ours(values):
                self._remove(charge.code, values, entry)
                continue
            filters.append(self._keep(charge.code, values, entry, price))
        return [*filters, *self.add(listed)]

    def add(self, listed: dict[_Values, Price]) -> list[FilterChanges]:
        """The filters of prices that are new."""
        for values, price in listed.items():
            self.added.append(_change(price.metric, values, None, price.amount))
            self._models.append((price.model, False, True))
        return [
            FilterChanges(
                values={key: list(chosen) for key, chosen in values},
                properties=_properties(price.amount),
            )
            for values, price in listed.items()
        ]

    def models(self, *, before: bool) -> dict[str, None]:
        """The models that are priced."""
        return {model: None for model, was, stays in self._models if (was if before else stays)}

    def _keep(
        self, metric: str, values: _Values, entry: PlanChargeFilter, price: Price | None
    ) -> FilterChanges:
        properties = entry.properties
        if price is None:
            self.kept += 1
        elif (before := Decimal(properties["amount"])) == price.amount:
            self.unchanged += 1
        else:
            self.changed.append(_change(metric, values, before, price.amount))
            properties = _properties(price.amount)
        self._models += [(model, True, True) for model in dict(values).get(MODEL, ())]
        return FilterChanges(
            values=entry.values,
            properties=properties,
            invoice_display_name=entry.invoice_display_name,
        )

    def _remove(self, metric: str, values: _Values, entry: PlanChargeFilter) -> None:
        self.removed.append(_change(metric, values, Decimal(entry.properties["amount"]), None))
        self._models += [(model, True, False) for model in dict(values).get(MODEL, ())]


def _check(charge: PlanCharge) -> None:
    """A charge takes a list's prices if it is what an import would have made."""
    if not _is_plain(charge) or charge.asset_code != CURRENCY:
        raise CatalogConflict(
            f"the charge {charge.code} of the plan is no standard price in {CURRENCY}:"
            " import into another plan"
        )
    if charge.billable_metric_code != charge.code:
        raise CatalogConflict(
            f"the charge {charge.code} of the plan prices {charge.billable_metric_code}:"
            " import into another plan"
        )


def _is_plain(charge: PlanCharge) -> bool:
    return charge.charge_model == "standard" and charge.applied_pricing_unit is None


def _is_ours(values: _Values) -> bool:
    """Whether a filter looks like a price of a list."""
    return len(dict(values).get(MODEL, ())) == 1 and all(key in FILTER_KEYS for key, _ in values)


def _new_charge(code: str, filters: list[FilterChanges]) -> ChargeChanges:
    return ChargeChanges(
        code=code,
        billable_metric_code=code,
        charge_model="standard",
        asset_code=CURRENCY,
        invoice_display_name=METRICS[code].name,
        filters=filters,
    )


def _change(
    metric: str, values: _Values, before: Decimal | None, after: Decimal | None
) -> PriceChange:
    when = dict(values)
    (model,) = when.pop(MODEL)
    return PriceChange(metric=metric, model=model, when=when, before=before, after=after)


def _key(values: Iterable[tuple[str, tuple[str, ...]]]) -> _Values:
    return tuple(sorted(values))


def _properties(price: Decimal) -> dict[str, str]:
    return {"amount": format(price, "f")}
