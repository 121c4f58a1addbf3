"""Price lists of language models, in the shape of LiteLLM's price file. Reading only; no database.

The file is made by many hands, so it is read with care: prices are exact decimals, and a price
that is missing, malformed or beside the point is left out and named, never taken for zero.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from importlib import resources
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from rating import InvalidModel
from rating.quantities import price

PRICE_FIELDS: Final = {
    "llm_input_tokens": "input_cost_per_token",
    "llm_output_tokens": "output_cost_per_token",
    "llm_cache_read_tokens": "cache_read_input_token_cost",
    "llm_cache_write_tokens": "cache_creation_input_token_cost",
}
"""Billable metric → the price file's name for what one of its tokens costs."""

BYTES_MAX: Final = 64 * 1024 * 1024
MODEL_NAME_LENGTH_MAX: Final = 255

# The same side of an entry priced in another unit: a zero per token then means "not by the token".
_OTHER_UNITS: Final = {
    "input_cost_per_token": "input_cost_per_",
    "output_cost_per_token": "output_cost_per_",
}
_TIER_MARKS: Final = ("_cost_per_token_above_", "tiered_pricing")
_EXAMPLE_ENTRY: Final = "sample_spec"


class InvalidPriceList(Exception):
    """The file is no price list at all; the message says why."""


class Reason(StrEnum):
    """Why an entry, or one of its prices, was left out."""

    EXAMPLE = "documents the file's format"
    INVALID_ENTRY = "is not an object"
    INVALID_NAME = "has a name that is empty, too long or unprintable"
    INVALID_PRICE = "has a price that is no plain, non-negative number"
    OTHER_UNIT = "is free by the token because it is priced in another unit"
    TIERS_ONLY = "is priced in tiers only"
    NO_TOKEN_PRICE = "has no price per token"  # noqa: S105 (no secret)


class Skipped(Struct, frozen=True, kw_only=True):
    """An entry, or the one price of it that `field` names, that was left out."""

    model: str
    reason: Reason
    field: str | None = None


class ModelPrices(Struct, frozen=True, kw_only=True):
    """What one token of a model costs, in US dollars, by billable metric."""

    model: str
    prices: dict[str, Decimal]
    has_tiers: bool = False
    """The list also has dearer prices for long contexts, which are not imported."""

    @property
    def is_free(self) -> bool:
        """Every price listed is zero."""
        return not any(self.prices.values())


class PriceList(Struct, frozen=True, kw_only=True):
    """What was read of a file, and what was left out and why."""

    models: tuple[ModelPrices, ...]
    skipped: tuple[Skipped, ...]
    entries: int
    """How many entries the file has."""


def read_price_list(content: bytes) -> PriceList:
    """Read a price file, or raise InvalidPriceList. A bad entry is skipped, a bad file refused."""
    if len(content) > BYTES_MAX:
        raise InvalidPriceList(f"the file is larger than {BYTES_MAX:,} bytes")
    try:
        entries = msgspec.json.Decoder(float_hook=Decimal).decode(content)
    except (msgspec.DecodeError, ArithmeticError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidPriceList(f"the file is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise InvalidPriceList("the file is not an object of models")
    entries = cast("dict[str, Any]", entries)
    models: list[ModelPrices] = []
    skipped: list[Skipped] = []
    for name, entry in entries.items():
        read, left_out = _read_entry(name, entry)
        skipped += left_out
        if read is not None:
            models.append(read)
    return PriceList(models=tuple(models), skipped=tuple(skipped), entries=len(entries))


def well_known() -> PriceList:
    """The list that comes with the service: some thirty well-known models. See NOTICE beside it."""
    return read_price_list(resources.files(__name__).joinpath("well_known.json").read_bytes())


def _read_entry(name: str, entry: Any) -> tuple[ModelPrices | None, list[Skipped]]:
    """The prices of one entry, and what of it was left out."""
    if not 0 < len(name.strip()) == len(name) <= MODEL_NAME_LENGTH_MAX or not name.isprintable():
        shown = ascii(name[:MODEL_NAME_LENGTH_MAX])
        return None, [Skipped(model=shown, reason=Reason.INVALID_NAME)]
    if name == _EXAMPLE_ENTRY:
        return None, [Skipped(model=name, reason=Reason.EXAMPLE)]
    if not isinstance(entry, dict):
        return None, [Skipped(model=name, reason=Reason.INVALID_ENTRY)]
    fields = cast("dict[str, Any]", entry)
    prices, skipped = _read_prices(name, fields)
    if not any(prices.values()) and any(each.reason is Reason.OTHER_UNIT for each in skipped):
        # A reranker paid by the query: its other zero is no more of a price.
        return None, [Skipped(model=name, reason=Reason.OTHER_UNIT)]
    if prices:
        has_tiers = any(mark in field for field in fields for mark in _TIER_MARKS)
        return ModelPrices(model=name, prices=prices, has_tiers=has_tiers), skipped
    if not skipped:
        reason = Reason.TIERS_ONLY if fields.get("tiered_pricing") else Reason.NO_TOKEN_PRICE
        skipped.append(Skipped(model=name, reason=reason))
    return None, skipped


def _read_prices(name: str, fields: dict[str, Any]) -> tuple[dict[str, Decimal], list[Skipped]]:
    """The prices per token by metric, and those that are none."""
    prices: dict[str, Decimal] = {}
    skipped: list[Skipped] = []
    for code, field in PRICE_FIELDS.items():
        if fields.get(field) is None:
            continue
        try:
            amount = price(_plain(fields[field]), field=field)
        except InvalidModel:
            skipped.append(Skipped(model=name, reason=Reason.INVALID_PRICE, field=field))
            continue
        if not amount and any(_other_units(fields, field)):
            skipped.append(Skipped(model=name, reason=Reason.OTHER_UNIT, field=field))
            continue
        prices[code] = amount
    return prices, skipped


def _plain(value: object) -> object:
    """Only JSON numbers are prices: text that looks like one is not what this file means."""
    return value if isinstance(value, int | Decimal) else None


def _other_units(fields: dict[str, Any], field: str) -> Iterator[object]:
    """The prices of the same side of an entry that are not zero and not for plain tokens."""
    prefix = _OTHER_UNITS.get(field)
    if prefix is None:
        return
    for other, value in fields.items():
        if other != field and other.startswith(prefix) and isinstance(value, int | Decimal):
            yield value
