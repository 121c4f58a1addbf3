"""How units become money: one file per charge model.

A model is its settings, a tagged msgspec Struct, with three pieces of arithmetic:

- `add(total, units)`: the total after one more event, price included;
- `price_events(quantities)`: the price of a whole period from all its events in order, written
  from the definition and not from `add`: it is what the period's end computes, and the judge of
  the running totals;
- `from_properties(properties)`: read and check the settings as the catalogue's door gets them.

Amounts are exact decimals in units of the charge's asset; nothing is rounded here.
To add a model: its file, its name in `ChargeModel` and in `CHARGE_MODELS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import to_builtins

from rating.charge_models.package import Package
from rating.charge_models.percentage import Percentage
from rating.charge_models.standard import Standard
from rating.errors import InvalidModel

ChargeModel: TypeAlias = Standard | Package | Percentage

CHARGE_MODELS: Final[Mapping[str, type[ChargeModel]]] = {
    "standard": Standard,
    "package": Package,
    "percentage": Percentage,
}

__all__ = [
    "CHARGE_MODELS",
    "ChargeModel",
    "Package",
    "Percentage",
    "Standard",
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
    return {
        name: format(value, "f") if isinstance(value, Decimal) else value
        for name, value in settings.items()
    }


def price_events(model: ChargeModel, quantities: Sequence[Decimal]) -> Decimal:
    """The price of a period from all its events, in the order in which they count.

    >>> price_events(Standard(amount=Decimal("0.05")), [Decimal(400), Decimal(600)])
    Decimal('50.00')
    """
    return model.price_events(quantities)
