"""LiteLLM's price file: exact where it is clear, and silent about nothing that it is not."""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating import RateCard
from tests.wallet_service.price_lists.books import EXCERPT, WHOLE_FILE, card_of, cost
from wallet_service.price_lists import (
    InvalidPriceList,
    Price,
    PriceList,
    Reason,
    Skipped,
    read_litellm,
    well_known,
)
from wallet_service.price_lists.metrics import CORE, METRICS

Prices = dict[str | tuple[str, str], Decimal]


def read(entry: str) -> PriceList:
    """A list of one model."""
    return read_litellm(b'{"a-model": %s}' % entry.encode())


def prices_of(entry: str) -> Prices:
    """Its prices, by metric, or by metric and condition."""
    return {name_of(price): price.amount for price in read(entry).prices if not price.is_implied}


def name_of(price: Price) -> str | tuple[str, str]:
    when = ", ".join(f"{key}={'/'.join(values)}" for key, values in price.when)
    return (price.metric, when) if when else price.metric


def skipped_of(entry: str) -> list[tuple[Reason, str | None]]:
    """What was left out of it."""
    return [(skipped.reason, skipped.field) for skipped in read(entry).skipped]


@pytest.fixture(scope="module")
def excerpt() -> PriceList:
    return read_litellm(EXCERPT.read_bytes())


@pytest.fixture(scope="module")
def card(excerpt: PriceList) -> RateCard:
    return card_of(excerpt)


def test_prices_are_read_exactly() -> None:
    assert prices_of(
        '{"input_cost_per_token": 1.5e-07, "output_cost_per_token": 1.9999999999999999e-07,'
        ' "cache_read_input_token_cost": 0.000000075, "cache_creation_input_token_cost": 2}'
    ) == {
        "llm_input_tokens": Decimal("0.00000015"),
        "llm_output_tokens": Decimal("0.00000019999999999999999"),
        "llm_cache_read_tokens": Decimal("0.000000075"),
        "llm_cache_write_tokens": Decimal(2),
    }


@given(
    st.decimals(
        min_value=0,
        max_value=10**17,
        places=30,
    )
)
def test_every_digit_of_a_price_survives(amount: Decimal) -> None:
    for text in (format(amount, "f"), f"{amount:E}"):
        (price,) = read(f'{{"input_cost_per_token": {text}}}').prices
        assert price.amount == amount
        tokens = 10**12 + 1
        card = card_of(read(f'{{"input_cost_per_token": {text}}}'))
        with_tokens = {"model": "a-model", "tokens": tokens}
        price_of_all = cost(card, "llm_input_tokens", with_tokens)
        assert Fraction(price_of_all) == Fraction(amount) * tokens


def test_a_field_says_what_is_priced_and_when() -> None:
    assert prices_of(
        '{"cache_creation_input_token_cost_above_1hr_above_200k_tokens_batches": 1,'
        ' "input_cost_per_audio_token_priority": 2, "output_cost_per_second_1080p": 3,'
        ' "output_cost_per_image_0.5K": 4, "ocr_cost_per_page_batches": 5,'
        ' "search_context_cost_per_query": {"search_context_size_low": 6,'
        ' "search_context_size_medium": 7}, "guardrail_cost_per_unit": {"wordPolicyUnits": 8}}'
    ) == {
        (
            "llm_cache_write_tokens",
            "cache_ttl=1h, context_tokens=>200000, service_tier=batch",
        ): Decimal(1),
        ("llm_input_audio_tokens", "service_tier=priority"): Decimal(2),
        ("llm_output_seconds", "resolution=1080p"): Decimal(3),
        ("llm_output_images", "resolution=0.5K"): Decimal(4),
        ("llm_pages", "service_tier=batch"): Decimal(5),
        ("llm_web_searches", "search_context_size=low"): Decimal(6),
        "llm_web_searches": Decimal(7),
        ("llm_guardrail_units", "policy=wordPolicyUnits"): Decimal(8),
    }


def test_tiers_by_range_are_prices_of_whole_calls() -> None:
    tiers = (
        '[{"range": [0, 32000.0], "input_cost_per_token": 1},'
        ' {"range": [32000.0, 128000.0], "input_cost_per_token": 2}]'
    )
    assert prices_of(f'{{"tiered_pricing": {tiers}}}') == {
        "llm_input_tokens": Decimal(1),
        ("llm_input_tokens", "context_tokens=>32000"): Decimal(2),
    }
    found = '[{"max_results_range": [26, 100], "input_cost_per_query": 0.025}]'
    assert prices_of(f'{{"tiered_pricing": {found}}}') == {
        ("llm_queries", "max_results=>25"): Decimal("0.025")
    }


@pytest.mark.parametrize("order", [0, 1])
def test_tiers_go_before_a_price_beside_them(order: int) -> None:
    flat = '"input_cost_per_token": 9'
    tiers = '"tiered_pricing": [{"range": [0, 10], "input_cost_per_token": 1}]'
    entry = "{" + ", ".join([flat, tiers][:: 1 if order else -1]) + "}"
    assert prices_of(entry) == {"llm_input_tokens": Decimal(1)}
    assert skipped_of(entry) == [(Reason.SUPERSEDED, "input_cost_per_token")]


@pytest.mark.parametrize("given_range", ["[1.5, 3]", "[-1, 3]", "[1]", '"0-3"', "[1e40, 2]"])
def test_a_tier_without_a_clear_range_is_left_out(given_range: str) -> None:
    entry = f'{{"tiered_pricing": [{{"range": {given_range}, "input_cost_per_token": 1}}]}}'
    assert prices_of(entry) == {}
    assert skipped_of(entry) == [(Reason.INVALID_PRICE, "tiered_pricing.0.input_cost_per_token")]


def test_what_is_not_priced_stays_without_a_price() -> None:
    assert prices_of('{"input_cost_per_token": 1e-6, "output_cost_per_token": null}') == {
        "llm_input_tokens": Decimal("0.000001")
    }


def test_a_model_listed_at_zero_is_free() -> None:
    price_list = read('{"input_cost_per_token": 0.0}')
    assert price_list.free_models == ("a-model",)
    assert [price.amount for price in price_list.prices] == [Decimal(0)]


@pytest.mark.parametrize(
    "other_price",
    ['"input_cost_per_query": 0.002', '"input_cost_per_token_above_128k_tokens": 1e-6'],
)
def test_a_zero_beside_a_price_in_another_unit_is_not_free(other_price: str) -> None:
    entry = f'{{"input_cost_per_token": 0.0, "output_cost_per_token": 1e-6, {other_price}}}'
    assert "llm_input_tokens" not in prices_of(entry)
    assert skipped_of(entry) == [(Reason.OTHER_UNIT, "input_cost_per_token")]


def test_a_model_sold_by_the_query_is_not_free_by_the_token() -> None:
    entry = '{"input_cost_per_token": 0, "output_cost_per_token": 0, "input_cost_per_query": 0.002}'
    assert prices_of(entry) == {"llm_queries": Decimal("0.002")}
    assert skipped_of(entry) == [
        (Reason.OTHER_UNIT, "input_cost_per_token"),
        (Reason.OTHER_UNIT, "output_cost_per_token"),
    ]


@pytest.mark.parametrize(
    "number",
    [
        "-1e-7",
        '"1.5e-07"',
        "true",
        "[]",
        "{}",
        "NaN",
        "-Infinity",
        "1E+1000000",
        "1e999999999999999999999",
        "1e-31",
        "1e18",
        "9" * 5000,
    ],
)
def test_a_price_that_is_no_plain_number_is_left_out_and_named(number: str) -> None:
    entry = f'{{"input_cost_per_token": {number}, "output_cost_per_token": 1e-6}}'
    assert prices_of(entry) == {"llm_output_tokens": Decimal("0.000001")}
    assert skipped_of(entry) == [(Reason.INVALID_PRICE, "input_cost_per_token")]
    nested = f'{{"search_context_cost_per_query": {{"search_context_size_low": {number}}}}}'
    assert skipped_of(nested) == [
        (Reason.INVALID_PRICE, "search_context_cost_per_query.search_context_size_low")
    ]


@pytest.mark.parametrize(
    ("entry", "reason", "field"),
    [
        ("[]", Reason.INVALID_ENTRY, None),
        ("null", Reason.INVALID_ENTRY, None),
        ("{}", Reason.NO_PRICE, None),
        ('{"input_cost_per_wish": 3}', Reason.UNKNOWN, "input_cost_per_wish"),
        ('{"cost_per_second_above_1hr": 3}', Reason.UNKNOWN, "cost_per_second_above_1hr"),
        ('{"input_dbu_cost_per_token": 3}', Reason.OTHER_CURRENCY, "input_dbu_cost_per_token"),
        ('{"input_cost_per_token_decisions": 3}', Reason.OTHER_ENDPOINT, None),
        ('{"regional_endpoint_uplift_multiplier": 1.1}', Reason.MULTIPLIER, None),
        ('{"off_peak_pricing": {"input_cost_per_token": 3}}', Reason.TIME_OF_DAY, None),
        ('{"search_free_requests": {"count": 1500}}', Reason.ALLOWANCE, None),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(
    entry: str, reason: Reason, field: str | None
) -> None:
    ((found, at),) = skipped_of(entry)
    assert found is reason
    assert field is None or at == field


def test_two_prices_for_the_same_are_one_or_the_second_is_named() -> None:
    same = '{"cache_read_input_token_cost": 1e-7, "input_cost_per_token_cache_hit": 0.0000001}'
    assert skipped_of(same) == [(Reason.REPEATED, "input_cost_per_token_cache_hit")]
    other = '{"cache_read_input_token_cost": 1e-7, "input_cost_per_token_cache_hit": 2e-7}'
    assert skipped_of(other) == [(Reason.CONTRADICTED, "input_cost_per_token_cache_hit")]
    assert prices_of(other) == {"llm_cache_read_tokens": Decimal("0.0000001")}


@pytest.mark.parametrize("name", ["", " gpt", "gpt\\n", "gpt\\u0000", "m" * 256])
def test_a_name_nobody_could_send_is_left_out(name: str) -> None:
    price_list = read_litellm(b'{"%s": {"input_cost_per_token": 1}}' % name.encode())
    assert [skipped.reason for skipped in price_list.skipped] == [Reason.INVALID_NAME]
    assert price_list.prices == ()


def test_the_entry_that_documents_the_file_is_no_model() -> None:
    price_list = read_litellm(b'{"sample_spec": {"input_cost_per_token": 0.0}}')
    assert price_list.prices == ()
    assert price_list.skipped == (
        Skipped(model="sample_spec", reason=Reason.EXAMPLE, field="input_cost_per_token"),
    )
    assert price_list.entries == 1


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"NaN", b"\xff", b'"gpt-4o"', b"[" * 100_000, b'{"a": 1e}']
)
def test_a_file_that_is_no_price_list_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidPriceList):
        read_litellm(content)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b'{"gpt-4o": {}, "gpt-4o": {}}', "gpt-4o"),
        (b'{"a": {"input_cost_per_token": 1, "input_cost_per_token": 2}}', "input_cost_per_token"),
    ],
)
def test_a_key_that_stands_twice_could_mean_either_and_refuses_the_file(
    content: bytes, key: str
) -> None:
    with pytest.raises(InvalidPriceList, match=f"'{key}' stands twice"):
        read_litellm(content)


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wallet_service.price_lists.litellm.BYTES_MAX", 10)
    with pytest.raises(InvalidPriceList, match="larger than 10 bytes"):
        read_litellm(b'{"a-model": {}}')


@pytest.mark.parametrize(
    ("code", "properties", "expected"),
    [
        # gpt-4o: 1,000 tokens at 2.5e-06, 1.25e-06 in a batch, 4.25e-06 with priority.
        ("llm_input_tokens", {"model": "gpt-4o", "tokens": 1000}, "0.0025"),
        (
            "llm_input_tokens",
            {"model": "gpt-4o", "tokens": 1000, "service_tier": "batch"},
            "0.00125",
        ),
        (
            "llm_input_tokens",
            {"model": "gpt-4o", "tokens": 1000, "service_tier": "priority"},
            "0.00425",
        ),
        # A tier that the list does not know is served at the standard price.
        ("llm_input_tokens", {"model": "gpt-4o", "tokens": 1000, "service_tier": "x"}, "0.0025"),
        # gemini-2.5-pro: 1.25e-06 to 200,000 tokens of context, and above 2.5e-06 for all of them.
        (
            "llm_input_tokens",
            {"model": "gemini-2.5-pro", "tokens": 200_000, "context_tokens": 200_000},
            "0.25",
        ),
        (
            "llm_input_tokens",
            {"model": "gemini-2.5-pro", "tokens": 200_001, "context_tokens": 200_001},
            "0.5000025",
        ),
        (
            "llm_output_tokens",
            {"model": "gemini-2.5-pro", "tokens": 1000, "context_tokens": 250_000},
            "0.015",
        ),
        (
            "llm_output_tokens",
            {
                "model": "gemini-2.5-pro",
                "tokens": 1000,
                "context_tokens": 250_000,
                "service_tier": "batch",
            },
            "0.0075",
        ),
        # Flex has no price for long contexts: the standard one is taken.
        (
            "llm_output_tokens",
            {
                "model": "gemini-2.5-pro",
                "tokens": 1000,
                "context_tokens": 250_000,
                "service_tier": "flex",
            },
            "0.015",
        ),
        # xAI's higher prices begin with 200,000 tokens, not above them.
        (
            "llm_input_tokens",
            {"model": "xai/grok-4.3", "tokens": 200_000, "context_tokens": 200_000},
            "0.5",
        ),
        # Claude: cache writes for five minutes, and for an hour; in long contexts, too.
        ("llm_cache_write_tokens", {"model": "claude-sonnet-4-5", "tokens": 2000}, "0.0075"),
        (
            "llm_cache_write_tokens",
            {"model": "claude-sonnet-4-5", "tokens": 2000, "cache_ttl": "1h"},
            "0.012",
        ),
        (
            "llm_cache_write_tokens",
            {
                "model": "anthropic.claude-sonnet-4-5-20250929-v1:0",
                "tokens": 2000,
                "cache_ttl": "1h",
                "context_tokens": 200_001,
            },
            "0.024",
        ),
        (
            "llm_cache_write_tokens",
            {
                "model": "gpt-6-luna",
                "tokens": 1_000_000,
                "cache_ttl": "12h",
                "context_tokens": 300_000,
                "service_tier": "priority",
            },
            "1",
        ),
        # dashscope: above 256,000 tokens 2.5e-07.
        (
            "llm_input_tokens",
            {"model": "dashscope/qwen-flash", "tokens": 10**6, "context_tokens": 256_001},
            "0.25",
        ),
        (
            "llm_reasoning_tokens",
            {"model": "perplexity/sonar-deep-research", "tokens": 1000},
            "0.003",
        ),
        (
            "llm_citation_tokens",
            {"model": "perplexity/sonar-deep-research", "tokens": 1000},
            "0.002",
        ),
        ("llm_input_audio_tokens", {"model": "azure/gpt-realtime", "tokens": 1000}, "0.032"),
        ("llm_cache_read_audio_tokens", {"model": "azure/gpt-realtime", "tokens": 1000}, "0.0004"),
        ("llm_output_image_tokens", {"model": "gpt-image-1", "tokens": 1000}, "0.04"),
        (
            "llm_output_images",
            {"model": "fal_ai/fal-ai/nano-banana-2", "images": 3, "resolution": "4K"},
            "0.48",
        ),
        ("llm_output_images", {"model": "fal_ai/fal-ai/nano-banana-2", "images": 3}, "0.24"),
        (
            "llm_output_seconds",
            {"model": "dashscope/wan3.0-video", "seconds": 5, "resolution": "480p"},
            "0.20628",
        ),
        ("llm_output_video_seconds", {"model": "openai/sora-2-pro", "seconds": 8}, "2.4"),
        ("llm_input_seconds", {"model": "whisper-1", "seconds": "61.5"}, "0.00615"),
        ("llm_input_characters", {"model": "azure/speech/azure-tts", "characters": 1000}, "0.015"),
        ("llm_queries", {"model": "rerank-english-v3.0", "queries": 2}, "0.004"),
        ("llm_queries", {"model": "exa_ai/search", "queries": 1, "max_results": 26}, "0.025"),
        ("llm_queries", {"model": "exa_ai/search", "queries": 1, "max_results": 25}, "0.005"),
        ("llm_web_searches", {"model": "gemini-2.5-pro", "searches": 2}, "0.07"),
        ("llm_map_searches", {"model": "gemini-2.5-pro", "searches": 2}, "0.05"),
        ("llm_pages", {"model": "mistral/mistral-ocr-latest", "pages": 10}, "0.04"),
        ("llm_annotated_pages", {"model": "mistral/mistral-ocr-latest", "pages": 10}, "0.05"),
        ("llm_ocr_credits", {"model": "reducto/parse-v3", "credits": 2}, "0.03"),
        ("llm_code_sessions", {"model": "azure/container", "sessions": 1}, "0.033"),
        (
            "llm_guardrail_units",
            {"model": "bedrock/guardrails", "units": 100, "policy": "topicPolicyUnits"},
            "0.015",
        ),
        ("llm_text_messages", {"model": "xai/grok-voice-latest", "messages": 5}, "0.02"),
    ],
)
def test_known_models_cost_what_the_file_says(
    card: RateCard, code: str, properties: dict[str, Any], expected: str
) -> None:
    # Prices by hand from litellm 1.109.1's price file.
    assert cost(card, code, properties) == Decimal(expected)


def test_every_price_of_the_excerpt_is_read_or_named(excerpt: PriceList) -> None:
    assert (excerpt.entries, len(excerpt.models)) == (40, 38)
    assert len(excerpt.prices) - excerpt.implied == 314
    assert excerpt.described == 72
    reasons = Counter(skipped.reason for skipped in excerpt.skipped)
    assert reasons == {
        Reason.EXAMPLE: 13,
        Reason.MULTIPLIER: 8,
        Reason.OTHER_ENDPOINT: 8,
        Reason.REPEATED: 6,
        Reason.ALLOWANCE: 4,
        Reason.TIME_OF_DAY: 3,
        Reason.OTHER_CONDITION: 2,
        Reason.OTHER_CURRENCY: 2,
        Reason.OTHER_UNIT: 2,
        Reason.NO_PRICE: 1,
    }
    assert_adds_up(excerpt, EXCERPT)


@pytest.mark.skipif(not WHOLE_FILE.exists(), reason="LiteLLM's whole price file is not here")
def test_every_price_of_the_whole_file_is_read_or_named() -> None:
    price_list = read_litellm(WHOLE_FILE.read_bytes())
    assert_adds_up(price_list, WHOLE_FILE)
    assert (price_list.entries, len(price_list.models)) == (4553, 4457)
    assert len(price_list.prices) - price_list.implied == 18_246
    assert Counter(skipped.reason for skipped in price_list.skipped) == {
        Reason.OTHER_CURRENCY: 155,
        Reason.MULTIPLIER: 118,
        Reason.NO_PRICE: 95,
        Reason.OTHER_UNIT: 62,
        Reason.REPEATED: 60,
        Reason.ALLOWANCE: 49,
        Reason.TIME_OF_DAY: 30,
        Reason.EXAMPLE: 13,
        Reason.OTHER_CONDITION: 9,
        Reason.OTHER_ENDPOINT: 8,
    }
    assert set(price_list.metrics) <= set(METRICS)


def assert_adds_up(price_list: PriceList, file: Path) -> None:
    """Every number of a file is a price that was read, one that was named, or no price."""
    skipped = sum(each.field is not None for each in price_list.skipped)
    read_or_named = len(price_list.prices) - price_list.implied + skipped
    assert read_or_named + price_list.described == sum(1 for _ in numbers(file))


def numbers(file: Path) -> Iterator[Decimal]:
    """All numbers in a file, found without looking at what they are called."""
    found: list[Decimal] = []

    def note(text: str) -> Decimal:
        found.append(Decimal(text))
        return found[-1]

    json.loads(file.read_bytes(), parse_float=note, parse_int=note)
    yield from found


def test_the_list_that_comes_with_the_service_is_clean() -> None:
    price_list = well_known()
    prices = {(price.metric, price.model, price.when): price.amount for price in price_list.prices}
    assert price_list.skipped == ()
    assert len(price_list.models) >= 30
    assert prices["llm_input_tokens", "gpt-4o", ()] == Decimal("0.0000025")
    assert prices["llm_output_tokens", "gpt-4o", ()] == Decimal("0.00001")
    for model in price_list.models:
        assert ("llm_input_tokens", model, ()) in prices
        assert ("llm_output_tokens", model, ()) in prices
    assert price_list.free_models == ()
    assert set(price_list.metrics) == set(CORE)
