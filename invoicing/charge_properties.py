"""The settings of a charge's price, as a caller gives them and as they are stored. Pure.

Prices are stored and shown as texts, the way Lago shows them, so that no digit is lost. Beside the
settings of the charge model, `properties` carries the keys that usage is grouped by; those are
stored as fields of the charge.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, TypeGuard, cast

from msgspec import Struct

from invoicing.errors import Invalid
from rating.charge_models import CHARGE_MODELS, ChargeModel, read_model
from rating.errors import InvalidModel

__all__ = [
    "GivenProperties",
    "PresentationKey",
    "check_model",
    "model_of",
    "needs_settings",
    "read_properties",
]

_Reader: TypeAlias = Callable[[Any], Any]

_INTEGER_DIGITS_MAX: Final = 18
_DECIMAL_DIGITS_MAX: Final = 40
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_RANGES_MAX: Final = 1_000
_GROUP_KEYS_MAX: Final = 20
_PRESENTATION_KEYS_MAX: Final = 2
_KEY_LENGTH_MAX: Final = 255


class PresentationKey(Struct, frozen=True, kw_only=True):
    """A property by which usage is broken down where it is shown."""

    value: str
    display_in_invoice: bool = True


class GivenProperties(Struct, frozen=True, kw_only=True):
    """What `properties` said. Keys that it did not name are None."""

    settings: dict[str, Any]
    """Those of the charge model, as stored."""
    pricing_group_keys: list[str] | None = None
    presentation_group_keys: list[PresentationKey] | None = None


def check_model(charge_model: str) -> None:
    """Raise Invalid unless it is a charge model that there is."""
    if charge_model in CHARGE_MODELS:
        return
    message = "" if charge_model != "custom" else "custom is not available: send the price instead"
    known = "value_is_invalid" if charge_model else "value_is_mandatory"
    raise Invalid.field("charge_model", known, message)


def needs_settings(charge_model: str) -> bool:
    """Whether there is no price without properties. Dynamic prices come with the events."""
    return charge_model != "dynamic"


def model_of(charge_model: str, settings: Mapping[str, Any]) -> ChargeModel | None:
    """The price that stored settings mean; None where there is none."""
    if not settings and needs_settings(charge_model):
        return None
    return read_model(charge_model, settings)


def read_properties(charge_model: str, given: Mapping[str, Any]) -> GivenProperties:
    """Read and check the properties of a charge or filter; raises Invalid, naming each field."""
    settings = {
        name: read(given[name])
        for name, read in _SETTINGS[charge_model].items()
        if given.get(name) is not None
    }
    if settings:
        try:
            read_model(charge_model, settings)
        except InvalidModel as error:
            raise Invalid.field(f"properties.{error.field}", error.reason) from None
    return GivenProperties(
        settings=settings,
        pricing_group_keys=_pricing_group_keys(given),
        presentation_group_keys=_presentation_group_keys(given.get("presentation_group_keys")),
    )


def _decimal(value: Any) -> Any:
    """A price as Lago shows it, a text; anything that is none is left for the model to refuse."""
    if type(value) is int:
        return str(value) if abs(value) < 10**_INTEGER_DIGITS_MAX else value
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and abs(value.adjusted()) < _DECIMAL_DIGITS_MAX
    ):
        return format(value, "f")
    return value


def _integer(value: Any) -> Any:
    """A whole number, also from a text; anything else is left for the model to refuse."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if (
        isinstance(value, Decimal)
        and value.is_finite()
        and abs(value.adjusted()) < _INTEGER_DIGITS_MAX
    ):
        return int(value) if value == value.to_integral_value() else value
    return value


def _bound(value: Any) -> Any:
    """Where a range begins or ends: a whole number as such, any other as a text."""
    whole = _integer(value)
    return whole if type(whole) is int else _decimal(whole)


def _ranges(**readers: _Reader) -> _Reader:
    """A list of ranges with these settings; what is none is left for the model to refuse."""

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        entries = cast("list[Any]", value)
        if len(entries) > _RANGES_MAX:
            return None
        return [
            {name: each(entry.get(name)) for name, each in readers.items()}  # pyright: ignore[reportUnknownMemberType]
            if isinstance(entry, dict)
            else entry
            for entry in entries
        ]

    return read


_UNIT_RANGES: Final = _ranges(
    from_value=_bound, to_value=_bound, per_unit_amount=_decimal, flat_amount=_decimal
)
_RATE_RANGES: Final = _ranges(
    from_value=_bound, to_value=_bound, rate=_decimal, flat_amount=_decimal
)
_SETTINGS: Final[Mapping[str, Mapping[str, _Reader]]] = {
    "standard": {"amount": _decimal},
    "graduated": {"graduated_ranges": _UNIT_RANGES},
    "graduated_percentage": {"graduated_percentage_ranges": _RATE_RANGES},
    "package": {"amount": _decimal, "package_size": _integer, "free_units": _integer},
    "percentage": {
        "rate": _decimal,
        "fixed_amount": _decimal,
        "free_units_per_events": _integer,
        "free_units_per_total_aggregation": _decimal,
        "per_transaction_min_amount": _decimal,
        "per_transaction_max_amount": _decimal,
    },
    "volume": {"volume_ranges": _UNIT_RANGES},
    "dynamic": {},
}


def _pricing_group_keys(given: Mapping[str, Any]) -> list[str] | None:
    """The keys that prices are grouped by, under their name or the older `grouped_by`."""
    name = "pricing_group_keys" if given.get("pricing_group_keys") is not None else "grouped_by"
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise Invalid.field(f"properties.{name}", "value_is_invalid")
    keys = cast("list[object]", value)
    if len(keys) > _GROUP_KEYS_MAX:
        raise Invalid.field(f"properties.{name}", "invalid_count")
    read = [key for key in keys if _is_key(key)]
    if len(read) != len(keys):
        raise Invalid.field(f"properties.{name}", "value_is_invalid")
    if len(set(read)) != len(read):
        raise Invalid.field(f"properties.{name}", "value_is_duplicated")
    return read


def _presentation_group_keys(value: Any) -> list[PresentationKey] | None:
    """The keys that usage is shown by: each a text, or an object with `value` and `options`."""
    if value is None:
        return None
    name = "properties.presentation_group_keys"
    if not isinstance(value, list):
        raise Invalid.field(name, "value_is_invalid")
    entries = cast("list[object]", value)
    if len(entries) > _PRESENTATION_KEYS_MAX:
        raise Invalid.field(name, "invalid_count")
    keys = [_presentation_key(entry, name) for entry in entries]
    if len({key.value for key in keys}) != len(keys):
        raise Invalid.field(name, "value_is_duplicated")
    return keys


def _presentation_key(entry: object, name: str) -> PresentationKey:
    given = _object(entry)
    key = entry if given is None else given.get("value")
    options = {} if given is None else _object(given.get("options") or {})
    is_shown = None if options is None else options.get("display_in_invoice", True)
    if not _is_key(key) or not isinstance(is_shown, bool):
        raise Invalid.field(name, "value_is_invalid")
    return PresentationKey(value=key, display_in_invoice=is_shown)


def _object(value: object) -> dict[str, object] | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _is_key(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= _KEY_LENGTH_MAX
