"""The settings of models as the catalogue keeps them."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from msgspec import to_builtins

from rating import ChargeModel

_BOUNDS = frozenset({"from_value", "to_value"})


def properties_of(model: ChargeModel) -> dict[str, object]:
    """The settings of a model, which `read_model` reads back."""
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
