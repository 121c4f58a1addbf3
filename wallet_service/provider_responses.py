"""Where a provider writes what was used: its usage objects, its models' names, its tiers. Pure.

The package `genai-prices` has a table for each provider and API (`UsageExtractor`): which number
stands where, and what it counts. The tables are its own; walking them is ours, so that a number
which is none is refused by its name, and one of a million digits before anything is made of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct

from rating.errors import InvalidQuantity
from rating.exact import EXACT
from rating.quantities import quantity
from wallet_service.errors import Invalid

if TYPE_CHECKING:
    from genai_prices.types import Provider, UsageExtractor, UsageExtractorMapping

_TEXT_LENGTH_MAX: Final = 255

_PREFIXES: Final = {
    # How LiteLLM's price file calls them.
    "aws": "bedrock",
    "fireworks": "fireworks_ai",
    "google": "gemini",
    "moonshotai": "moonshot",
    "together": "together_ai",
    "x-ai": "xai",
}
_STANDARD_TIERS: Final = frozenset({"", "auto", "default", "on_demand", "standard"})
_TRAFFIC_TYPES: Final = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}


@cache
def providers() -> "list[Provider]":
    """All that are known. The first call takes a second: not in an event loop."""
    from genai_prices.data import providers  # noqa: PLC0415 (only who needs it waits for it)

    return providers


class Response(Struct, frozen=True):
    """What a response says."""

    numbers: dict[str, Decimal]
    """By the package's names; parts stand beside what they are part of."""
    model: str | None
    service_tier: str | None


class _Reading(Struct):
    """What an extractor finds, and how well it fits."""

    model_path: Any
    root: Mapping[str, Any]
    numbers: dict[str, Decimal]
    paths: set[str]
    problem: Invalid | None = None


_MISSING: Final = object()


def read_response(provider: "Provider", usage: Mapping[str, Any]) -> Response:
    """Read a usage object, or the response that has one. Raises Invalid."""
    reading = _best(provider.extractors or (), usage)
    return Response(
        reading.numbers,
        _text(_follow(reading.model_path, usage)),
        _reported_tier(usage, reading.root),
    )


def _best(extractors: "Iterable[UsageExtractor]", usage: Mapping[str, Any]) -> _Reading:
    """The reading that finds most: OpenAI's APIs alone write usage in six ways."""
    best: _Reading | None = None
    for extractor in extractors:
        for root, at in _roots(extractor, usage):
            reading = _read(extractor, root, at)
            if reading is not None and (best is None or len(reading.paths) > len(best.paths)):
                best = reading
    if best is None:
        raise Invalid("usage", "value_is_invalid", "this is not how the provider writes usage")
    if best.problem is not None:
        raise best.problem
    return best


def _roots(
    extractor: "UsageExtractor", usage: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Where the numbers may be: in a whole response, in a part of it, or in the object itself."""
    path = [extractor.root] if isinstance(extractor.root, str) else list(extractor.root)
    for start in range(len(path) + 1):
        found = _follow(path[start:], usage)
        if isinstance(found, Mapping):
            yield cast("Mapping[str, Any]", found), ".".join(["usage", *map(str, path[start:])])


def _read(extractor: "UsageExtractor", root: Mapping[str, Any], at: str) -> _Reading | None:
    """All numbers of an extractor; None if one that has to be there is not."""
    reading = _Reading(extractor.model_path, root, {}, set())
    for mapping in extractor.mappings:
        value = _follow(mapping.path, root)
        if value is _MISSING or value is None:
            if mapping.required:
                return None
            continue
        field = _field(mapping, at)
        reading.paths.add(field)
        try:
            number = _number(value, field)
        except Invalid as problem:
            reading.problem = reading.problem or problem
            continue
        known = reading.numbers.get(mapping.dest, Decimal(0))
        reading.numbers[mapping.dest] = EXACT.add(known, number)
    return reading if reading.paths else None


def _number(value: Any, field: str) -> Decimal:
    if isinstance(value, str):
        raise Invalid(field, "value_is_invalid", "a number, not text")
    try:
        number = quantity(value, field=field)
    except InvalidQuantity as error:
        raise Invalid(field, "value_is_invalid", str(error)) from None
    if number < 0:
        raise Invalid(field, "value_is_out_of_range", "less than nothing")
    return number


def _follow(path: Any, data: Any) -> Any:
    """What stands at a path: keys, and entries of lists that are found by one of their fields.

    What is of another type than the path needs comes back as it is, to be refused as no number.
    """
    for step in (path,) if isinstance(path, str) else path:
        if data is None or data is _MISSING:
            return _MISSING
        if isinstance(step, str):
            if not isinstance(data, Mapping):
                return data
            data = cast("Mapping[str, Any]", data).get(step, _MISSING)
        else:
            if not isinstance(data, list):
                return data
            data = next(filter(_matches(step), cast("list[Any]", data)), _MISSING)
    return data


def _matches(step: Any) -> Callable[[Any], bool]:
    def matches(entry: Any) -> bool:
        if not isinstance(entry, Mapping):
            return False
        value = cast("Mapping[str, Any]", entry).get(step.field)
        return isinstance(value, str) and step.match.is_match(value)

    return matches


def _field(mapping: "UsageExtractorMapping", at: str) -> str:
    steps = (mapping.path,) if isinstance(mapping.path, str) else mapping.path
    return ".".join([at, *(step for step in steps if isinstance(step, str))])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def find_provider(name: str | None) -> "Provider":
    """The provider that a caller means. Raises Invalid."""
    if not name:
        raise Invalid("provider", "value_is_mandatory", "whose usage this is")
    found = _provider(name.lower().strip()) if len(name) <= _TEXT_LENGTH_MAX else None
    if found is None:
        raise Invalid("provider", "value_is_invalid", "no provider of this name is known")
    if not found.extractors:
        raise Invalid("provider", "value_is_invalid", "its usage is not known; send items instead")
    return found


@lru_cache(maxsize=1024)
def _provider(name: str) -> "Provider | None":
    by_id = (each for each in providers() if each.id == name)
    by_rule = (
        each for each in providers() if each.provider_match and each.provider_match.is_match(name)
    )
    return next(by_id, None) or next(by_rule, None)


def model_names(provider: "Provider", as_sent: str, model: str | None) -> tuple[str, ...]:
    """The names that a price list may have for a model, the most particular first.

    A model of the provider's own is known by its name alone; of one that sells others' models, the
    name with the provider before it comes first, as it may cost something else there. Raises
    Invalid.
    """
    if not model:
        raise Invalid("model", "value_is_mandatory", "which model it was")
    if len(model) > _TEXT_LENGTH_MAX:
        raise Invalid("model", "value_is_too_long")
    return _names(provider.id, as_sent.lower().strip(), model.removeprefix("models/"))


@lru_cache(maxsize=4096)
def _names(provider_id: str, as_sent: str, model: str) -> tuple[str, ...]:
    provider = _provider(provider_id)
    assert provider is not None, "it was found, and has this id"
    canonical = provider.find_model(model, all_providers=providers())
    refs = [model] if canonical is None else [model, canonical.id]
    prefixes = [as_sent, provider_id, _PREFIXES.get(provider_id)]
    qualified = [f"{prefix}/{ref}" for ref in refs for prefix in prefixes if prefix]
    matching = (
        each
        for each in providers()
        if each.model_match is not None and each.model_match.is_match(model.lower())
    )
    is_own = next(matching, None) is provider
    ordered = [model, *qualified, *refs] if is_own else [*qualified, *refs]
    return tuple(dict.fromkeys(ordered))


def tier_of(provider: "Provider", given: str | None) -> str | None:
    """How the call was served, in one word for all; None for the usual way."""
    if given is None or given.lower() in _STANDARD_TIERS:
        return None
    tier = given.lower()
    return "priority" if tier == "fast" and provider.id in {"openai", "azure"} else tier


def _reported_tier(response: Mapping[str, Any], usage: Mapping[str, Any]) -> str | None:
    """What the response says of how it was served."""
    if usage.get("speed") == "fast":
        return "fast"
    traffic = usage.get("trafficType")
    if isinstance(traffic, str):
        return _TRAFFIC_TYPES.get(traffic)
    tier = _text(usage.get("service_tier")) or _text(response.get("service_tier"))
    return tier if tier is None or len(tier) <= _TEXT_LENGTH_MAX else None
