"""Reads the prices that come with the package `genai-prices`. No network, no database.

A model is named as the package finds it: by its id alone where that leads to its provider
(`gpt-4o`, `claude-sonnet-4-5`), else with the provider before it (`azure/gpt-4o`). The package
finds models by rules (`starts with gpt-4o-mini`); filters have names, so a list has the ids. Usage
that is passed as a provider wrote it is found by the rules as well (`provider_responses`).

Tiers are of whole calls: above a size of context, all of a call's tokens cost that
(`TieredPrices`). What a price is per hour becomes one per second, where that ends in decimals.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from rating import InvalidModel
from rating.exact import EXACT
from rating.quantities import price as plain_price
from wallet_service.price_lists.implied import Case, implied
from wallet_service.price_lists.lists import (
    MODEL_NAME_LENGTH_MAX,
    Price,
    PriceList,
    Reason,
    Skipped,
    When,
    when_of,
)
from wallet_service.price_lists.metrics import CACHE_TTL, CONTEXT, SERVICE_TIER

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, Provider

_Conditions = dict[str, tuple[str, ...]]

_MILLION: Final = 1_000_000
UNITS: Final[Mapping[str, tuple[str, _Conditions, int]]] = {
    "input_mtok": ("llm_input_tokens", {}, _MILLION),
    "output_mtok": ("llm_output_tokens", {}, _MILLION),
    "cache_read_mtok": ("llm_cache_read_tokens", {}, _MILLION),
    "cache_write_mtok": ("llm_cache_write_tokens", {}, _MILLION),
    "cache_write_1h_mtok": ("llm_cache_write_tokens", {CACHE_TTL: ("1h",)}, _MILLION),
    "output_reasoning_mtok": ("llm_reasoning_tokens", {}, _MILLION),
    "output_citation_mtok": ("llm_citation_tokens", {}, _MILLION),
    "input_audio_mtok": ("llm_input_audio_tokens", {}, _MILLION),
    "output_audio_mtok": ("llm_output_audio_tokens", {}, _MILLION),
    "cache_audio_read_mtok": ("llm_cache_read_audio_tokens", {}, _MILLION),
    "cache_audio_write_mtok": ("llm_cache_write_audio_tokens", {}, _MILLION),
    "input_image_mtok": ("llm_input_image_tokens", {}, _MILLION),
    "output_image_mtok": ("llm_output_image_tokens", {}, _MILLION),
    "cache_image_read_mtok": ("llm_cache_read_image_tokens", {}, _MILLION),
    "input_video_mtok": ("llm_input_video_tokens", {}, _MILLION),
    "output_video_mtok": ("llm_output_video_tokens", {}, _MILLION),
    "input_mchars": ("llm_input_characters", {}, _MILLION),
    "audio_hours": ("llm_audio_seconds", {}, 3600),
    "input_audio_hours": ("llm_input_audio_seconds", {}, 3600),
    "output_audio_hours": ("llm_output_audio_seconds", {}, 3600),
    "input_gpixels": ("llm_input_pixels", {}, 1_000_000_000),
    "input_text_messages_kcount": ("llm_text_messages", {}, 1000),
    "requests_kcount": ("llm_requests", {}, 1000),
    "rerank_searches_kcount": ("llm_queries", {}, 1000),
    "web_searches_kcount": ("llm_web_searches", {}, 1000),
    "storage_searches_kcount": ("llm_file_searches", {}, 1000),
    "code_executions_kcount": ("llm_code_sessions", {}, 1000),
    "input_document_kpages": ("llm_pages", {}, 1000),
    "input_annotated_document_kpages": ("llm_annotated_pages", {}, 1000),
}
"""The package's name of a price → the metric, when it holds, and for how many units it is."""


def read_genai_prices(providers: "Sequence[Provider] | None" = None, *, on: date) -> PriceList:
    """The package's prices as they are on a day, in UTC."""
    # A second to load: only who asks for it.
    from genai_prices.data_snapshot import DataSnapshot  # noqa: PLC0415

    if providers is None:
        from genai_prices.data import providers  # noqa: PLC0415
    snapshot = DataSnapshot(providers=list(providers), from_auto_update=False)
    prices: list[Price] = []
    skipped: list[Skipped] = []
    entries = 0
    for provider in providers:
        for model in provider.models:
            entries += 1
            entry = _Entry(_name(snapshot, provider, model), on=on)
            entry.read(model)
            prices += entry.prices.values()
            skipped += entry.skipped
    return PriceList(
        prices=(*prices, *implied(prices, _fallbacks)), skipped=tuple(skipped), entries=entries
    )


def _name(snapshot: "DataSnapshot", provider: "Provider", model: "ModelInfo") -> str:
    try:
        found = snapshot.find_provider_model(model.id, None, None, None)
    except LookupError:
        found = None
    is_own = found is not None and found[0] is provider and found[1] is model
    return model.id if is_own else f"{provider.id}/{model.id}"


def _fallbacks(wanted: Case) -> Iterator[Case]:
    """Which price the package takes where it has none for all that is so of a call.

    A variant's price takes the place of the standard one with all its tiers, unit by unit, and
    tokens written for an hour are a unit of their own.
    """
    for case in (wanted, replace(wanted, cache_ttl=None)):
        yield case
        yield replace(case, context=None)
        yield replace(case, service_tier=None)
        yield replace(case, context=None, service_tier=None)


class _Entry:
    """One model of the package, as it is being read."""

    def __init__(self, name: str, *, on: date) -> None:
        self._name = name
        self._on = on
        self.prices: dict[tuple[str, When], Price] = {}
        self.skipped: list[Skipped] = []

    def read(self, model: "ModelInfo") -> None:
        """Read all of it: afterwards every number is in one of the two."""
        if not 0 < len(self._name) <= MODEL_NAME_LENGTH_MAX or not self._name.isprintable():
            self._skip(Reason.INVALID_NAME)
            return
        if isinstance(model.prices, list):
            self._read_one_of(model.prices)
        else:
            self._take_all(model.prices, {}, "prices")
        for position, variant in enumerate(model.price_variants or ()):
            self._read_variant(variant, model.price_variants or (), f"price_variants.{position}")
        if not self.prices and not self.skipped:
            self._skip(Reason.NO_PRICE)

    def _read_one_of(self, conditional: "Sequence[ConditionalPrice]") -> None:
        """The last one that has begun holds; what depends on the time of day never does here."""
        begun = [
            position
            for position, each in enumerate(conditional)
            if each.constraint is None or self._reason_against(each.constraint) is None
        ]
        chosen = begun[-1] if begun else 0
        for position, each in enumerate(conditional):
            at = f"prices.{position}"
            if position == chosen:
                self._take_all(each.prices, {}, at)
                continue
            reason = None if each.constraint is None else self._reason_against(each.constraint)
            for field, *_ in _numbers(each.prices, at):
                self._skip(reason or Reason.PAST, field)

    def _read_variant(
        self, variant: "PriceVariant", others: "Sequence[PriceVariant]", at: str
    ) -> None:
        """Prices of a way of being served, which `service_tier` names."""
        reason = None if variant.constraint is None else self._reason_against(variant.constraint)
        tier = _service_tier(variant.when)
        if tier is None:
            reason = Reason.OTHER_CONDITION
        elif reason is None and self._is_repetition(variant, others, tier):
            reason = Reason.REPEATED
        if reason is not None or tier is None:
            for field, *_ in _numbers(variant.prices, at):
                self._skip(reason or Reason.OTHER_CONDITION, field)
            return
        self._take_all(variant.prices, {SERVICE_TIER: (tier,)}, at)

    def _is_repetition(
        self, variant: "PriceVariant", others: "Sequence[PriceVariant]", tier: str
    ) -> bool:
        """OpenAI says `fast` for `priority`, and `default` for the standard prices."""
        if tier == "fast":
            return any(
                _service_tier(other.when) == "priority" and other.prices == variant.prices
                for other in others
            )
        if tier != "default":
            return False
        for _, key, above, amount in _numbers(variant.prices, ""):
            unit = UNITS.get(key)
            standard = unit and self.prices.get((unit[0], _when(unit[1], above)))
            if not unit or not standard or standard.amount != _per_unit(amount, unit[2]):
                return False
        return True

    def _reason_against(self, constraint: Any) -> Reason | None:
        """Why a price does not hold on the day; None if it does."""
        start = getattr(constraint, "start_date", None)
        if start is None:
            return Reason.TIME_OF_DAY
        return Reason.LATER if start > self._on else None

    def _take_all(self, prices: "ModelPrice", when: _Conditions, at: str) -> None:
        for field, key, above, amount in _numbers(prices, at):
            unit = UNITS.get(key)
            if unit is None:
                self._skip(Reason.UNKNOWN, field)
                continue
            metric, of_unit, per = unit
            self._take(metric, _when({**of_unit, **when}, above), _per_unit(amount, per), field)

    def _take(self, metric: str, when: When, amount: Decimal | None, field: str) -> None:
        if amount is None:
            self._skip(Reason.INEXACT, field)
            return
        try:
            plain_price(amount, field=field)
        except InvalidModel:
            self._skip(Reason.INVALID_PRICE, field)
            return
        known = self.prices.get((metric, when))
        if known is not None:
            is_same = known.amount == amount
            self._skip(Reason.REPEATED if is_same else Reason.SUPERSEDED, field)
            return
        self.prices[metric, when] = Price(
            metric=metric, model=self._name, when=when, amount=amount, field=field
        )

    def _skip(self, reason: Reason, field: str | None = None) -> None:
        self.skipped.append(Skipped(model=self._name, reason=reason, field=field))


def _numbers(prices: "ModelPrice", at: str) -> Iterator[tuple[str, str, int | None, Decimal]]:
    """Each number: its place, the package's name of the price, the bound it holds above, itself."""
    for key, value in vars(prices).items():
        if isinstance(value, Decimal):
            yield f"{at}.{key}", key, None, value
        elif value is not None:
            yield f"{at}.{key}", key, None, value.base
            for position, tier in enumerate(value.tiers):
                yield f"{at}.{key}.tiers.{position}", key, tier.start, tier.price


def _service_tier(when: Mapping[str, str]) -> str | None:
    """How a call is served, of what a variant asks for; None if it asks for something else."""
    if len(when) != 1:
        return None
    ((key, value),) = when.items()
    return value if key in {"service_tier", "processing", "speed"} else None


def _when(conditions: _Conditions, above: int | None) -> When:
    return when_of(conditions if above is None else {**conditions, CONTEXT: (f">{above}",)})


def _per_unit(amount: Decimal, per: int) -> Decimal | None:
    """The price of one unit, if it has an end in decimals."""
    try:
        return EXACT.divide(amount, Decimal(per))
    except (Inexact, InvalidOperation):
        return None
