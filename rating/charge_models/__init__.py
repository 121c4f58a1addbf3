"""How units become money: one file per charge model.

A model is its settings, a tagged msgspec Struct, with some pieces of arithmetic:

- `from_properties(properties)`: read and check the settings as the catalogue's door gets them;
- `add(total, units)`: the total after one more event, price included; `highest(total, units)`:
  the most that up to so many units more can make of its price;
- `rebase(total)`: the total as this model would have priced it, for prices that change within a
  period;
- `price_events(quantities)`: the price of a whole period from all its events in order, written
  from the definition and not from `add`: it is what the period's end computes, and the judge of
  the running totals;
- `price_total(units=…, events=…)`: the same from sums, where the model `is_summable`.

Most models look at the units alone: they are `ByUnits`, and say `price(units)`. The price of
`Dynamic` comes with each event, so it has nothing to add to or to rebase.

Amounts are exact decimals in units of the charge's asset; nothing is rounded here.
To add a model: its file, its name in `ChargeModel` and in `CHARGE_MODELS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, cast

from msgspec import to_builtins

from rating.charge_models.dynamic import Dynamic
from rating.charge_models.graduated import Graduated
from rating.charge_models.graduated_percentage import GraduatedPercentage
from rating.charge_models.package import Package
from rating.charge_models.percentage import Percentage
from rating.charge_models.standard import Standard
from rating.charge_models.volume import Volume
from rating.errors import InvalidModel

RunningModel: TypeAlias = Standard | Graduated | GraduatedPercentage | Package | Percentage | Volume
"""A model that goes on from a total."""

ChargeModel: TypeAlias = RunningModel | Dynamic

CHARGE_MODELS: Final[Mapping[str, type[ChargeModel]]] = {
    "standard": Standard,
    "graduated": Graduated,
    "graduated_percentage": GraduatedPercentage,
    "package": Package,
    "percentage": Percentage,
    "volume": Volume,
    "dynamic": Dynamic,
}

_BOUNDS: Final = frozenset({"from_value", "to_value"})

__all__ = [
    "CHARGE_MODELS",
    "ChargeModel",
    "Dynamic",
    "Graduated",
    "GraduatedPercentage",
    "Package",
    "Percentage",
    "RunningModel",
    "Standard",
    "Volume",
    "name_of",
    "price_events",
    "properties_of",
    "read_model",
]


def read_model(name: str, properties: Mapping[str, object]) -> ChargeModel:
    """Build a charge model from its name and properties, or raise InvalidModel.

    >>> read_model("package", {"amount": "5", "package_size": 100, "free_units": 100})
    Package(amount=Decimal('5'), package_size=100, free_units=100)
    """
    model = CHARGE_MODELS.get(name)
    if model is None:
        raise InvalidModel("charge_model", "value_is_invalid")
    return model.from_properties(properties)


def name_of(model: ChargeModel) -> str:
    """The name a model has in the catalogue.

    >>> name_of(Standard(amount=Decimal(1)))
    'standard'
    """
    name = model.__struct_config__.tag
    assert isinstance(name, str)
    return name


def properties_of(model: ChargeModel) -> dict[str, object]:
    """The settings of a model as the catalogue shows them; `read_model` reads them back.

    >>> properties_of(Standard(amount=Decimal("0.00000015")))
    {'amount': '0.00000015'}
    """
    settings: dict[str, object] = to_builtins(model, builtin_types=(Decimal,))
    settings.pop(model.__struct_config__.tag_field or "")
    return {name: _shown(value) for name, value in settings.items()}


def _shown(value: object, *, is_bound: bool = False) -> object:
    """Decimals in plain notation; the bounds of ranges as whole numbers where they are."""
    if isinstance(value, Decimal):
        if is_bound and value == value.to_integral_value():
            return int(value)
        return format(value, "f")
    if isinstance(value, tuple):
        ranges = cast("tuple[dict[str, object], ...]", value)
        return [
            {name: _shown(one, is_bound=name in _BOUNDS) for name, one in entry.items()}
            for entry in ranges
        ]
    return value


def price_events(
    model: ChargeModel,
    quantities: Sequence[Decimal],
    precise_amounts_cents: Sequence[Decimal] = (),
) -> Decimal:
    """The price of a period from all its events, in the order in which they count.

    A dynamic price also takes what each event brought as its `precise_total_amount_cents`.

    >>> price_events(Standard(amount=Decimal("0.05")), [Decimal(400), Decimal(600)])
    Decimal('50.00')
    """
    if isinstance(model, Dynamic):
        return model.price_events(quantities, precise_amounts_cents)
    return model.price_events(quantities)
