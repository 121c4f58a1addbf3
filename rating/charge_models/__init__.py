"""How units become money: one file per charge model.

A model is its settings, a tagged msgspec Struct, with some pieces of arithmetic:

- `from_properties(properties)`: read and check the settings as the catalogue's door gets them;
- `add(total, units)`: the total after one more event, price included; `highest(total, units)`:
  the most that up to so many units more can make of its price;
- `rebase(total)`: the total as this model would have priced it, for prices that change within a
  period;
- `price_total(units=…, events=…)`: the price of a whole period from its sums, where the model
  `is_summable`. A percentage with a free tier or bounds needs the events: `price_events(…)`.

Most models look at the units alone: they are `ByUnits`, and say `price(units)`. The price of
`Dynamic` comes with each event, so it has nothing to add to or to rebase.

Amounts are exact decimals in units of the charge's asset; nothing is rounded here.
To add a model: its file, its name in `ChargeModel` and in `CHARGE_MODELS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

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

    >>> name_of(Dynamic())
    'dynamic'
    """
    name = model.__struct_config__.tag
    assert isinstance(name, str)
    return name
