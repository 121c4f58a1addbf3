"""Reads LiteLLM's price file (`model_prices_and_context_window.json`). No database.

The file is made by many hands, so it is read with care: prices are the exact decimals that stand
there, and a price that is missing, malformed or beside the point is left out and named, never taken
for zero. What could mean two things (a key that stands twice) refuses the file.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, cast

from msgspec.structs import replace

from rating import InvalidModel
from rating.quantities import price
from wallet_service.price_lists.implied import Case, implied
from wallet_service.price_lists.lists import (
    MODEL_NAME_LENGTH_MAX,
    InvalidPriceList,
    Price,
    PriceList,
    Reason,
    Skipped,
    When,
    when_of,
)
from wallet_service.price_lists.litellm_fields import Meaning, meaning_of
from wallet_service.price_lists.metrics import CONTEXT, MAX_RESULTS, POLICY, SEARCH_SIZE

BYTES_MAX: Final = 64 * 1024 * 1024
_EXAMPLE_ENTRY: Final = "sample_spec"
_DIGITS_MAX: Final = 40
_KEY_SHOWN_MAX: Final = 100

_SEARCH: Final = "search_context_cost_per_query"
_GUARDRAIL: Final = "guardrail_cost_per_unit"
_TIERED: Final = "tiered_pricing"
_SEARCH_SIZES: Final = {
    # The one in the middle is what a search costs that says nothing.
    "search_context_size_low": {SEARCH_SIZE: ("low",)},
    "search_context_size_medium": {},
    "search_context_size_high": {SEARCH_SIZE: ("high",)},
}
_RANGES: Final = {"range": CONTEXT, "max_results_range": MAX_RESULTS}
_NESTED_REASONS: Final = {
    "off_peak_pricing": Reason.TIME_OF_DAY,
    "search_free_requests": Reason.ALLOWANCE,
    "provider_specific_entry": Reason.MULTIPLIER,
}
# The provider's context tiers begin with their size, not above it.
_INCLUSIVE_PROVIDERS: Final = frozenset({"xai"})
# The same side of an entry priced in another unit: a zero per token then means "not by the token".
_SIDES: Final = {
    "input_cost_per_token": "input_cost_per_",
    "output_cost_per_token": "output_cost_per_",
}


class _NoNumber:
    """Stands where the file has a number that is none (`NaN`), or one of too many digits."""


def read_litellm(content: bytes) -> PriceList:
    """Read a price file, or raise InvalidPriceList. A bad entry is skipped, a bad file refused."""
    if len(content) > BYTES_MAX:
        raise InvalidPriceList(f"the file is larger than {BYTES_MAX:,} bytes")
    try:
        entries = json.loads(
            content,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=lambda _text: _NoNumber(),
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidPriceList(f"the file is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise InvalidPriceList("the file is not an object of models")
    prices: list[Price] = []
    skipped: list[Skipped] = []
    described = 0
    for name, fields in cast("dict[str, Any]", entries).items():
        entry = _Entry(name)
        entry.read(fields)
        prices += entry.prices.values()
        skipped += entry.skipped
        described += entry.described
    return PriceList(
        prices=(*prices, *implied(prices, _fallbacks)),
        skipped=tuple(skipped),
        entries=len(cast("dict[str, Any]", entries)),
        described=described,
    )


def _fallbacks(wanted: Case) -> Iterator[Case]:
    """Which price LiteLLM takes where it has none for all that is so of a call."""
    if wanted.cache_ttl is not None:
        yield replace(wanted, context=None)
        yield replace(wanted, context=None, service_tier=None)
        wanted = replace(wanted, cache_ttl=None)
        yield wanted
    context, tier = replace(wanted, service_tier=None), replace(wanted, context=None)
    yield from (tier, context) if wanted.service_tier == "batch" else (context, tier)
    yield Case()


class _Entry:
    """One model of the file, as it is being read."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = name
        self._is_inclusive = False
        self.prices: dict[tuple[str, When], Price] = {}
        self.skipped: list[Skipped] = []
        self.described = 0

    def read(self, fields: Any) -> None:
        """Read all of it: afterwards every number is in one of the three."""
        reason = self._flaw(fields)
        if reason is Reason.INVALID_ENTRY:
            self._skip(reason)
            return
        fields = cast("dict[str, Any]", fields)
        self._is_inclusive = fields.get("litellm_provider") in _INCLUSIVE_PROVIDERS
        for field, value in fields.items():
            if value is not None:
                self._read_field(field, value)
        self._drop_zeros(fields)
        if reason is not None:
            self._drop_all(reason)
        elif not self.prices and not self.skipped:
            self._skip(Reason.NO_PRICE)

    def _flaw(self, fields: Any) -> Reason | None:
        name = self._name
        if not 0 < len(name.strip()) == len(name) <= MODEL_NAME_LENGTH_MAX or (
            not name.isprintable()
        ):
            self._shown = ascii(name[:MODEL_NAME_LENGTH_MAX])
            return Reason.INVALID_NAME if isinstance(fields, dict) else Reason.INVALID_ENTRY
        if not isinstance(fields, dict):
            return Reason.INVALID_ENTRY
        return Reason.EXAMPLE if name == _EXAMPLE_ENTRY else None

    def _read_field(self, field: str, value: Any) -> None:
        if field in _NESTED_REASONS and isinstance(value, dict):
            self._skip_numbers(_NESTED_REASONS[field], field, value)
        elif field == _SEARCH and isinstance(value, dict):
            for size, amount in cast("dict[str, Any]", value).items():
                when = _SEARCH_SIZES.get(size)
                self._take("llm_web_searches", when, f"{field}.{size}", amount)
        elif field == _GUARDRAIL and isinstance(value, dict):
            for policy, amount in cast("dict[str, Any]", value).items():
                self._take("llm_guardrail_units", {POLICY: (policy,)}, f"{field}.{policy}", amount)
        elif field == _TIERED and isinstance(value, list):
            for position, tier in enumerate(cast("list[Any]", value)):
                self._read_tier(tier, f"{field}.{position}")
        else:
            self._read_price(field, value, {}, field)

    def _read_price(
        self, field: str, value: Any, when: dict[str, tuple[str, ...]], at: str
    ) -> None:
        meaning = meaning_of(field)
        if meaning is None:
            self.described += sum(1 for _ in _numbers(value))
        elif isinstance(meaning, Reason):
            self._skip(meaning, at)
        else:
            self._take(
                meaning.metric, {**when, **meaning.when, **self._context(meaning)}, at, value
            )

    def _context(self, meaning: Meaning) -> dict[str, tuple[str, ...]]:
        above = meaning.context_above
        return {} if above is None else {CONTEXT: (f">{above - self._is_inclusive}",)}

    def _read_tier(self, tier: Any, at: str) -> None:
        """A tier is for the calls within its range: of the input's size, or of what is found."""
        if not isinstance(tier, dict):
            self._skip(Reason.INVALID_PRICE, at)
            return
        fields = cast("dict[str, Any]", tier)
        when: dict[str, tuple[str, ...]] | None = {}
        for field, key in _RANGES.items():
            if field in fields:
                when = _range(key, fields[field])
                self.described += sum(1 for _ in _numbers(fields[field]))
        for field, value in fields.items():
            if field in _RANGES or value is None:
                continue
            if when is None:
                self._skip(Reason.INVALID_PRICE, f"{at}.{field}")
            else:
                self._read_price(field, value, when, f"{at}.{field}")

    def _take(
        self, metric: str, when: dict[str, tuple[str, ...]] | None, field: str, value: Any
    ) -> None:
        """Keep a price, unless it is none, or another stands there."""
        if when is None:
            self._skip(Reason.UNKNOWN, field)
            return
        try:
            amount = price(_plain(value), field=field)
        except InvalidModel:
            self._skip(Reason.INVALID_PRICE, field)
            return
        key = metric, when_of(when)
        known = self.prices.get(key)
        if known is None:
            self.prices[key] = Price(
                metric=metric, model=self._name, when=key[1], amount=amount, field=field
            )
        elif known.amount == amount:
            self._skip(Reason.REPEATED, field)
        elif field.startswith(_TIERED):
            # As LiteLLM has it: a model with tiers has no other price.
            self._skip(Reason.SUPERSEDED, known.field)
            self.prices[key] = Price(
                metric=metric, model=self._name, when=key[1], amount=amount, field=field
            )
        else:
            reason = Reason.SUPERSEDED if known.field.startswith(_TIERED) else Reason.CONTRADICTED
            self._skip(reason, field)

    def _drop_zeros(self, fields: dict[str, Any]) -> None:
        """A zero that stands for "not by the token" is no price."""
        by_field = {price.field: key for key, price in self.prices.items()}
        dropped = [
            field
            for field, prefix in _SIDES.items()
            if field in by_field
            and not self.prices[by_field[field]].amount
            and any(_other_units(fields, field, prefix))
        ]
        is_by_token = any(
            price.amount for price in self.prices.values() if price.metric.endswith("_tokens")
        )
        if dropped and not is_by_token:
            # A reranker paid by the query: its other zeros are no more of a price.
            dropped = [
                price.field for price in self.prices.values() if price.metric.endswith("_tokens")
            ]
        for field in dropped:
            del self.prices[by_field[field]]
            self._skip(Reason.OTHER_UNIT, field)

    def _drop_all(self, reason: Reason) -> None:
        fields = [price.field for price in self.prices.values()]
        fields += [skipped.field for skipped in self.skipped if skipped.field]
        self.prices.clear()
        self.skipped.clear()
        for field in fields or (None,):
            self._skip(reason, field)

    def _skip_numbers(self, reason: Reason, field: str, value: Any) -> None:
        for path, _ in _numbers(value, field):
            if ".windows." in path:
                self.described += 1
            else:
                self._skip(Reason.ALLOWANCE if "_free_" in path else reason, path)

    def _skip(self, reason: Reason, field: str | None = None) -> None:
        self.skipped.append(Skipped(model=self._shown, reason=reason, field=field))


def _range(key: str, given: Any) -> dict[str, tuple[str, ...]] | None:
    """From where on a tier holds, as a filter; None if that is not said clearly."""
    if not isinstance(given, list) or len(cast("list[Any]", given)) != 2:  # noqa: PLR2004 (from, to)
        return None
    start = _plain(cast("list[Any]", given)[0])
    if start is None or start < 0 or start >= 10**18 or start != int(start):
        return None
    above = int(start)
    if key == MAX_RESULTS:
        above -= 1  # its ranges begin with their first number, those of tokens above it
    return {key: (f">{above}",)} if above > 0 else {}


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All numbers within, with their places."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for position, inner in enumerate(cast("list[Any]", value)):
            yield from _numbers(inner, f"{path}.{position}")
    elif isinstance(value, int | Decimal | _NoNumber) and not isinstance(value, bool):
        yield path, value


def _plain(value: object) -> int | Decimal | None:
    """Only JSON numbers are prices: text that looks like one is not what this file means."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return value


def _other_units(fields: dict[str, Any], field: str, prefix: str) -> Iterator[object]:
    """The prices of the same side of an entry that are not zero and not for plain tokens."""
    for other, value in fields.items():
        if other != field and other.startswith(prefix) and isinstance(value, int | Decimal):
            yield value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidPriceList(f"the key {key[:_KEY_SHOWN_MAX]!a} stands twice")
            seen.add(key)
    return read


def _decimal(text: str) -> Decimal | _NoNumber:
    try:
        return Decimal(text)
    except ArithmeticError:
        return _NoNumber()


def _integer(text: str) -> int | _NoNumber:
    return int(text) if len(text) <= _DIGITS_MAX else _NoNumber()
