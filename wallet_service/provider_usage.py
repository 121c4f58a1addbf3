"""What a provider says was used, as items. Pure.

It is given as it came: the `usage` of an OpenAI, Anthropic, Google, Mistral … response, or the
whole response. Some of its numbers are parts of others: OpenAI's prompts contain the tokens that
were read from a cache, Anthropic's do not (`genai-prices` knows, and adds them up to the same).

    prompt_tokens: 1000, of them cached: 800           800  llm_cache_read_tokens
    completion_tokens: 300, of them reasoning: 120     200  llm_input_tokens
                                                       120  llm_reasoning_tokens, where the plan
                                                            prices them, else with the output
                                                       180  llm_output_tokens

Every token becomes part of one item. A part that the plan has no price for stays in what it is part
of; what is part of nothing and has no price is refused, since it is not free.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeAlias, cast

from msgspec import Struct

from rating.errors import InvalidQuantity, RatingError
from rating.exact import EXACT
from rating.rate_cards import RateCard
from wallet_service.errors import Invalid
from wallet_service.items import ItemRequest
from wallet_service.price_lists.metrics import CACHE_TTL, CONTEXT, METRICS, MODEL, SERVICE_TIER
from wallet_service.provider_responses import (
    find_provider,
    model_names,
    providers,
    read_response,
    tier_of,
)

__all__ = ["ProviderUsage", "is_loaded", "items_of", "load", "read_usage"]

Dimensions: TypeAlias = Mapping[str, str]
"""What a number counts: family, direction, modality … One that has all of another's is a part."""


class ProviderUsage(Struct, frozen=True):
    """What was read: how much of what, and the names that the model may have in a price list."""

    numbers: dict[str, Decimal]
    """By the package's names; parts stand beside what they are part of."""
    models: tuple[str, ...]
    service_tier: str | None


def is_loaded() -> bool:
    """Whether the providers' tables are in memory."""
    return bool(_dimensions.cache_info().currsize)


def load() -> None:
    """Bring the providers' tables into memory, which takes a second: not in an event loop."""
    providers()
    _dimensions()


@cache
def _dimensions() -> dict[str, Dimensions]:
    from genai_prices.data_units import unit_data  # noqa: PLC0415 (only who needs it waits for it)

    return {
        name: cast("Dimensions", unit["dimensions"])
        for name, unit in unit_data.items()
        # Text is what is left of the whole.
        if cast("Dimensions", unit["dimensions"]).get("modality") != "text"
        or cast("Dimensions", unit["dimensions"])["family"] != "tokens"
    }


def read_usage(
    usage: Mapping[str, Any],
    *,
    provider: str | None,
    model: str | None,
    service_tier: str | None,
) -> ProviderUsage:
    """Read a usage object, or a whole response. Raises Invalid, which names what is wrong.

    `model` and `service_tier` go before what the response says of them.
    """
    known = find_provider(provider)
    response = read_response(known, usage)
    numbers = {name: response.numbers[name] for name in response.numbers if name in _dimensions()}
    for name, number in numbers.items():
        root = _root(name)
        if number and root is not None and root not in numbers:
            raise Invalid("usage", "value_is_invalid", f"has {name}, but no {root}")
    return ProviderUsage(
        numbers,
        model_names(known, provider or known.id, model or response.model),
        tier_of(known, service_tier or response.service_tier),
    )


def items_of(
    used: ProviderUsage, card: RateCard, properties: Mapping[str, Any]
) -> list[ItemRequest]:
    """The items that a plan's prices make of it. `properties` are the caller's own, for each item.

    Raises Invalid: the plan has no price for the model, or for something that was used.
    """
    context = used.numbers.get("input_tokens")
    common = {
        **properties,
        **({} if context is None else {CONTEXT: _plain(context)}),
        **({} if used.service_tier is None else {SERVICE_TIER: used.service_tier}),
    }
    for model in used.models:
        pricing = _Pricing(card, {**common, MODEL: model})
        if any(pricing.target(name) for name in used.numbers if _is_whole(name, used.numbers)):
            return pricing.items(used.numbers)
    raise Invalid("model", "price_not_found", f"nothing prices {used.models[0]!r}")


class _Target(Struct, frozen=True):
    """A metric that tokens are counted by, and for how long they were cached."""

    code: str
    cache_ttl: str | None = None


class _Pricing:
    """What of a usage one plan prices, for one model."""

    def __init__(self, card: RateCard, properties: dict[str, Any]) -> None:
        self._card = card
        self._properties = properties
        self._targets: dict[str, _Target | None] = {}

    def items(self, numbers: Mapping[str, Decimal]) -> list[ItemRequest]:
        """Each number that has a price of its own, less its parts that have one."""
        for name, number in numbers.items():
            if number and _is_whole(name, numbers) and self.target(name) is None:
                raise Invalid("usage", "price_not_found", f"nothing prices {name}")
        apart = [name for name in numbers if self._is_apart(name, numbers)]
        rest = _without_parts({name: numbers[name] for name in apart})
        totals: dict[_Target, Decimal] = {}
        for name in apart:
            target = self.target(name)
            assert target is not None, "checked above, or priced apart"
            totals[target] = EXACT.add(totals.get(target, Decimal(0)), rest[name])
        items = [self._item(target, units) for target, units in totals.items() if units]
        if not items:
            # Nothing was used: one item says so.
            items = [self._item(target, units) for target, units in totals.items()][:1]
        once = _Target("llm_requests")
        return [*items, self._item(once, Decimal(1))] if self._prices(once) else items

    def target(self, name: str) -> "_Target | None":
        """The metric that a number is counted by: the most particular that has a price."""
        if name not in self._targets:
            self._targets[name] = next(filter(self._prices, _targets(name)), None)
        return self._targets[name]

    def _is_apart(self, name: str, numbers: Mapping[str, Decimal]) -> bool:
        """Whether it is counted by another metric than what it is part of."""
        target = self.target(name)
        if target is None:
            return False
        wholes = [self.target(whole) for whole in _wholes(name, numbers)]
        return not wholes or any(whole != target for whole in wholes)

    def _prices(self, target: "_Target") -> bool:
        try:
            self._card.lines(target.code, self._item(target, Decimal(0)).properties)
        except InvalidQuantity as error:
            field = f"properties.{error.field}"
            raise Invalid(field, "value_is_invalid", str(error)) from None
        except RatingError:
            return False
        return True

    def _item(self, target: "_Target", units: Decimal) -> ItemRequest:
        """The caller's properties, and ours."""
        own: dict[str, Any] = {METRICS[target.code].field_name: _plain(units)}
        if target.cache_ttl is not None:
            own[CACHE_TTL] = target.cache_ttl
        return ItemRequest(target.code, {**self._properties, **own})


def _targets(name: str) -> Iterator[_Target]:
    """The metrics that may count a number, the most particular first."""
    dimensions = _dimensions()[name]
    if dimensions["family"] == "tokens":
        yield from _token_targets(dimensions)
    else:
        yield from map(_Target, _OTHER_TARGETS.get(name, ()))


def _token_targets(dimensions: Dimensions) -> Iterator[_Target]:
    direction = dimensions["direction"]
    modality = dimensions.get("modality")
    kind = dimensions.get("token_type", "")
    ttl = dimensions.get("cache_ttl")
    codes: list[str] = []
    if kind in {"cache_read", "cache_write"}:
        # Audio that was cached is first of all cached, as LiteLLM has it.
        codes += [f"llm_{kind}_{modality}_tokens", f"llm_{kind}_tokens"]
    elif kind in {"reasoning", "citation"}:
        codes.append(f"llm_{kind}_tokens")
    codes += [f"llm_{direction}_{modality}_tokens", f"llm_{direction}_tokens"]
    for code in codes:
        if code in METRICS:
            yield _Target(code, ttl if code.startswith("llm_cache_write") else None)


_OTHER_TARGETS: Final = {
    "input_characters": ("llm_input_characters",),
    "input_text_messages": ("llm_text_messages",),
    "audio_seconds": ("llm_audio_seconds", "llm_input_seconds"),
    "input_audio_seconds": ("llm_input_audio_seconds", "llm_audio_seconds", "llm_input_seconds"),
    "output_audio_seconds": ("llm_output_audio_seconds", "llm_audio_seconds"),
    "input_pixels": ("llm_input_pixels",),
    "input_document_pages": ("llm_pages",),
    "input_annotated_document_pages": ("llm_annotated_pages", "llm_pages"),
    "rerank_searches": ("llm_queries",),
    "web_searches": ("llm_web_searches",),
    "storage_searches": ("llm_file_searches",),
    "code_executions": ("llm_code_sessions",),
}


def _root(name: str) -> str | None:
    """What a kind of tokens is part of."""
    dimensions = _dimensions()[name]
    return f"{dimensions['direction']}_tokens" if dimensions["family"] == "tokens" else None


def _wholes(name: str, numbers: Iterable[str]) -> Iterator[str]:
    """The numbers that this one is part of."""
    dimensions = _dimensions()
    for other in numbers:
        if other != name and dimensions[other].items() < dimensions[name].items():
            yield other


def _is_whole(name: str, numbers: Iterable[str]) -> bool:
    return next(_wholes(name, numbers), None) is None


def _without_parts(numbers: dict[str, Decimal]) -> dict[str, Decimal]:
    """Each number less the others that are parts of it, so that they add up to the whole."""
    rest = dict(numbers)
    dimensions = _dimensions()
    for name in sorted(numbers, key=lambda name: -len(dimensions[name])):
        for whole in _wholes(name, numbers):
            rest[whole] = EXACT.subtract(rest[whole], rest[name])
    for name, number in rest.items():
        if number < 0:
            raise Invalid("usage", "value_is_invalid", f"the parts of {name} exceed it")
    return rest


def _plain(number: Decimal) -> int | Decimal:
    """Whole numbers as such: so they are stored and shown."""
    whole = int(number)
    return whole if whole == number else number
