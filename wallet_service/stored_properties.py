"""What may stand in the properties of usage, whatever they mean: what every store of ours can keep.

Properties are the caller's own, so nearly anything may. They are kept as JSON in Postgres, which
takes no number of more than some digits, and writes others out: `1e100000` would be 40 KB.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

from wallet_service.errors import Invalid

__all__ = ["check_properties"]

_MAGNITUDE_MAX: Final = 400
"""Every number that a double can hold, and some more."""
_DECIMALS_MAX: Final = 1_000
_INTEGER_MAX: Final = 2**63
_SIMPLE: Final = frozenset({str, bool, type(None)})


def check_properties(properties: Mapping[str, Any], *, place: str) -> None:
    """Raise Invalid, naming the property, where one is or holds a number that cannot be kept."""
    for name, value in properties.items():
        if type(value) in _SIMPLE or (type(value) is int and abs(value) < _INTEGER_MAX):
            continue  # what most usage is
        if not _is_kept(value):
            raise Invalid(
                f"{place}.{name}",
                "value_is_out_of_range",
                "integers have 64 bits, other numbers at most 400 digits before the point and"
                " 1,000 after it",
            )


def _is_kept(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return -_INTEGER_MAX <= value < 2 * _INTEGER_MAX
        case Decimal():
            exponent = value.as_tuple().exponent
            return (
                isinstance(exponent, int)
                and abs(value.adjusted()) <= _MAGNITUDE_MAX
                and exponent >= -_DECIMALS_MAX
            )
        case list():
            return all(map(_is_kept, cast("list[Any]", value)))
        case dict():
            values: Iterable[Any] = cast("dict[str, Any]", value).values()
            return all(map(_is_kept, values))
        case _:
            return True
