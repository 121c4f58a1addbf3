"""The prices of the package `genai-prices`: what it would charge is what our prices charge."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
    calc_unit_price,
)

from rating import RateCard
from tests.wallet_service.price_lists.books import card_of, cost
from wallet_service.price_lists import PriceList, Reason
from wallet_service.price_lists.genai import UNITS, read_genai_prices
from wallet_service.price_lists.metrics import METRICS

ON = date(2026, 11, 1)
PRICES = ModelPrice(input_mtok=Decimal(3), output_mtok=Decimal(15))


def only(*models: ModelInfo, provider_id: str = "acme", on: date = ON) -> PriceList:
    """What is read of one provider's models."""
    provider = Provider(
        id=provider_id,
        name="Acme",
        api_pattern="https://acme",
        model_match=ClauseEquals(equals="loud"),
        models=list(models),
    )
    return read_genai_prices([provider], on=on)


def loud(prices: Any = PRICES, **rest: Any) -> ModelInfo:
    return ModelInfo(id="loud", match=ClauseEquals(equals="loud"), prices=prices, **rest)


def amounts(price_list: PriceList) -> dict[tuple[str, str], Decimal]:
    """Prices by metric and conditions."""
    return {
        (
            price.metric,
            ", ".join(f"{key}={'/'.join(values)}" for key, values in price.when),
        ): price.amount
        for price in price_list.prices
    }


def test_prices_per_million_become_prices_of_one() -> None:
    assert amounts(only(loud())) == {
        ("llm_input_tokens", ""): Decimal("0.000003"),
        ("llm_output_tokens", ""): Decimal("0.000015"),
    }


def test_a_model_has_its_providers_name_before_it_unless_its_own_leads_there() -> None:
    quiet = ModelInfo(id="quiet", match=ClauseEquals(equals="quiet"), prices=PRICES)
    assert only(loud(), quiet).models == ("loud", "acme/quiet")


def test_tiers_are_of_whole_calls() -> None:
    tiered = TieredPrices(base=Decimal(2), tiers=[Tier(start=200_000, price=Decimal(4))])
    card = card_of(only(loud(ModelPrice(input_mtok=tiered))))
    short = {"model": "loud", "tokens": 1_000_000, "context_tokens": 200_000}
    assert cost(card, "llm_input_tokens", short) == 2
    assert cost(card, "llm_input_tokens", short | {"context_tokens": 200_001}) == 4


def test_the_price_of_the_day_is_taken_and_others_are_named() -> None:
    dearer, later = (ModelPrice(input_mtok=Decimal(price)) for price in (6, 9))
    prices = [
        ConditionalPrice(prices=PRICES),
        ConditionalPrice(StartDateConstraint(date(2026, 10, 1)), prices=dearer),
        ConditionalPrice(StartDateConstraint(date(2026, 12, 1)), prices=later),
    ]
    price_list = only(loud(prices))
    assert amounts(price_list) == {("llm_input_tokens", ""): Decimal("0.000006")}
    assert [(skipped.reason, skipped.field) for skipped in price_list.skipped] == [
        (Reason.PAST, "prices.0.input_mtok"),
        (Reason.PAST, "prices.0.output_mtok"),
        (Reason.LATER, "prices.2.input_mtok"),
    ]
    then = only(loud(prices), on=date(2026, 12, 1))
    assert amounts(then) == {("llm_input_tokens", ""): Decimal("0.000009")}


def test_a_price_of_the_night_is_named_and_not_taken() -> None:
    night = TimeOfDateConstraint(time(0, 30, tzinfo=UTC), time(16, 30, tzinfo=UTC))
    price_list = only(
        loud(
            [
                ConditionalPrice(prices=PRICES),
                ConditionalPrice(night, prices=ModelPrice(input_mtok=Decimal(1))),
            ]
        )
    )
    assert amounts(price_list)["llm_input_tokens", ""] == Decimal("0.000003")
    assert [skipped.reason for skipped in price_list.skipped] == [Reason.TIME_OF_DAY]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"service_tier": "flex"}, "flex"),
        ({"processing": "batch"}, "batch"),
        ({"speed": "fast"}, "fast"),
    ],
)
def test_how_a_call_is_served_is_one_condition(when: dict[str, str], expected: str) -> None:
    variant = PriceVariant(when=when, prices=ModelPrice(input_mtok=Decimal(1)))
    found = amounts(only(loud(price_variants=[variant])))
    assert found["llm_input_tokens", f"service_tier={expected}"] == Decimal("0.000001")


def test_a_variant_that_depends_on_something_else_is_named() -> None:
    variant = PriceVariant(when={"route": "eu"}, prices=ModelPrice(input_mtok=Decimal(1)))
    price_list = only(loud(price_variants=[variant]))
    assert len(price_list.prices) == 2
    (skipped,) = price_list.skipped
    assert (skipped.reason, skipped.field) == (
        Reason.OTHER_CONDITION,
        "price_variants.0.input_mtok",
    )


def test_a_price_per_hour_is_read_where_a_second_of_it_has_an_end() -> None:
    good, bad = (loud(ModelPrice(audio_hours=Decimal(price))) for price in ("0.36", "0.11"))
    assert amounts(only(good)) == {("llm_audio_seconds", ""): Decimal("0.0001")}
    assert [skipped.reason for skipped in only(bad).skipped] == [Reason.INEXACT]


def test_odd_prices_are_named_and_not_taken() -> None:
    negative = only(loud(ModelPrice(input_mtok=Decimal(-1))))
    endless = only(loud(ModelPrice(input_mtok=Decimal("NaN"))))
    unknown = only(loud(ModelPrice(input_wishes=Decimal(1))))
    silent = only(loud(ModelPrice()))
    assert [each.skipped[0].reason for each in (negative, endless, unknown, silent)] == [
        Reason.INVALID_PRICE,
        Reason.INVALID_PRICE,
        Reason.UNKNOWN,
        Reason.NO_PRICE,
    ]


@pytest.fixture(scope="module")
def package() -> PriceList:
    return read_genai_prices(on=ON)


@pytest.fixture(scope="module")
def card(package: PriceList) -> RateCard:
    return card_of(package)


def test_every_price_of_the_package_is_read_or_named(package: PriceList) -> None:
    skipped = sum(each.field is not None for each in package.skipped)
    assert len(package.prices) - package.implied + skipped == sum(1 for _ in package_numbers())
    assert package.entries == sum(len(provider.models) for provider in providers)
    assert not {Reason.INVALID_PRICE, Reason.UNKNOWN, Reason.INVALID_NAME} & set(
        Counter(each.reason for each in package.skipped)
    )


def package_numbers() -> Iterator[Decimal]:
    """All prices in the package, whatever they are of."""
    for model in (model for provider in providers for model in provider.models):
        standard = model.prices if isinstance(model.prices, list) else [model]
        for holder in (*standard, *(model.price_variants or ())):
            for value in vars(holder.prices).values():
                if isinstance(value, TieredPrices):
                    yield from (value.base, *(tier.price for tier in value.tiers))
                elif value is not None:
                    yield value


def test_well_known_models_have_their_published_prices(package: PriceList) -> None:
    listed = {(price.metric, price.model, price.when): price.amount for price in package.prices}
    assert listed["llm_input_tokens", "gpt-4o", ()] == Decimal("0.0000025")
    assert listed["llm_cache_read_tokens", "gpt-4o", ()] == Decimal("0.00000125")
    assert listed["llm_output_tokens", "claude-sonnet-4-5", ()] == Decimal("0.000015")
    an_hour = (("cache_ttl", ("1h",)),)
    assert listed["llm_cache_write_tokens", "claude-sonnet-4-5", an_hour] == Decimal("0.000006")


CONTEXTS = (1_000, 200_000, 250_000, 600_000)
UNITS_USED = 1_000_000
IN_THE_EVENING = datetime.combine(ON, time(20), tzinfo=UTC)  # when no hours' price holds


def test_each_price_is_what_the_package_itself_would_charge(
    package: PriceList, card: RateCard
) -> None:
    """Of every model, in contexts of every size, however it is served: unit by unit."""
    names = set(package.models)
    compared = 0
    for provider, model in every_model():
        qualified = f"{provider.id}/{model.id}"
        properties: dict[str, Any] = {"model": qualified if qualified in names else model.id}
        for tier, price_context in ways_to_be_served(model):
            prices = model.get_prices(IN_THE_EVENING, price_context)
            for key, value in vars(prices).items():
                metric, when, per = UNITS[key]
                if value is None or per == 3600:
                    continue
                properties |= {METRICS[metric].field_name: UNITS_USED, "service_tier": tier}
                properties["cache_ttl"] = "1h" if when else None
                for context in CONTEXTS:
                    ours = cost(card, metric, properties | {"context_tokens": context})
                    theirs = calc_unit_price(value, UNITS_USED, context, per)
                    assert ours == theirs, (properties, key, context)
                    compared += 1
    assert compared > 20_000


def every_model() -> Iterator[tuple[Provider, ModelInfo]]:
    for provider in providers:
        for model in provider.models:
            yield provider, model


def ways_to_be_served(model: ModelInfo) -> Iterator[tuple[str | None, dict[str, str]]]:
    """Our word for it, and the package's: as usual, and in each way it has prices for."""
    yield None, {}
    known = {"service_tier", "processing", "speed"}
    for variant in model.price_variants or ():
        ((key, value),) = variant.when.items()
        openais_word_for_priority = (key, value) == ("service_tier", "fast")
        if key in known and not openais_word_for_priority:
            yield value, variant.when
