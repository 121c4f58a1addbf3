"""Usage as providers write it: every token is part of one item, at its own price, once."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import extract_usage
from hypothesis import given
from hypothesis import strategies as st

from rating import RateCard
from tests.wallet_service.price_lists.books import EXCERPT, card_of, total
from wallet_service.errors import Invalid
from wallet_service.items import ItemRequest
from wallet_service.price_lists import read_litellm
from wallet_service.price_lists.genai import read_genai_prices
from wallet_service.provider_usage import items_of, read_usage

ON = datetime(2026, 11, 1, 20, tzinfo=UTC)

OPENAI_CHAT = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}}],
    "usage": {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    },
    "service_tier": "default",
}
OPENAI_RESPONSES = {
    "id": "resp_67ccd2bed1ec8190b14f964abc054267",
    "object": "response",
    "model": "gpt-5.5",
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 123,
    },
    "service_tier": "flex",
}
ANTHROPIC = {
    "id": "msg_013Zva2CMHLNnjNjJKqJ2EF",
    "type": "message",
    "model": "claude-sonnet-4-5",
    "usage": {
        "input_tokens": 21,
        "cache_creation_input_tokens": 1800,
        "cache_read_input_tokens": 100_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 800, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 503,
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
    },
}
GOOGLE = {
    "modelVersion": "gemini-2.5-pro",
    "usageMetadata": {
        "promptTokenCount": 250_000,
        "cachedContentTokenCount": 200_000,
        "candidatesTokenCount": 1000,
        "thoughtsTokenCount": 500,
        "totalTokenCount": 251_500,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 250_000}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 200_000}],
    },
}
MISTRAL = {
    "id": "cmpl-e5cc70bb28c444948073e77776eb30ef",
    "object": "chat.completion",
    "model": "mistral-large-latest",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}
REALTIME = {
    "type": "response.done",
    "response": {
        "usage": {
            "total_tokens": 1100,
            "input_tokens": 800,
            "output_tokens": 300,
            "input_token_details": {
                "text_tokens": 300,
                "audio_tokens": 500,
                "cached_tokens": 400,
                "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 300},
            },
            "output_token_details": {"text_tokens": 100, "audio_tokens": 200},
        }
    },
}


@pytest.fixture(scope="module")
def card() -> RateCard:
    return card_of(read_litellm(EXCERPT.read_bytes()))


def items(card: RateCard, usage: dict[str, Any], provider: str, **said: Any) -> list[ItemRequest]:
    read = read_usage(
        usage,
        provider=provider,
        model=said.get("model"),
        service_tier=said.get("service_tier"),
    )
    return items_of(read, card, said.get("properties", {}))


def units(found: list[ItemRequest]) -> dict[str, Any]:
    """How much of each metric; of tokens kept in a cache for long, with how long."""
    quantities = ("tokens", "searches", "pages", "seconds", "requests")
    counted: dict[str, Any] = {}
    for item in found:
        (amount,) = (item.properties[name] for name in quantities if name in item.properties)
        ttl = item.properties.get("cache_ttl")
        counted[f"{item.code} {ttl}" if ttl else item.code] = amount
    return counted


def test_openai_counts_cached_tokens_among_the_prompt(card: RateCard) -> None:
    found = items(card, OPENAI_CHAT, "openai")
    assert units(found) == {
        "llm_input_tokens": 86,
        "llm_cache_read_tokens": 1920,
        "llm_output_tokens": 300,
    }
    # 86 at 0.0000025, 1920 at 0.00000125, 300 at 0.00001
    assert total(card, found) == Decimal("0.000215") + Decimal("0.0024") + Decimal("0.003")
    assert {item.properties["context_tokens"] for item in found} == {2006}
    assert {item.properties["model"] for item in found} == {"gpt-4o"}


def test_openais_responses_count_reasoning_among_the_output(card: RateCard) -> None:
    found = items(card, OPENAI_RESPONSES, "openai")
    assert units(found) == {"llm_input_tokens": 36, "llm_output_tokens": 87}
    # Flex is half of 0.000005 and 0.00003.
    assert total(card, found) == Decimal("0.00009") + Decimal("0.001305")
    standard = items(card, OPENAI_RESPONSES, "openai", service_tier="default")
    assert total(card, standard) == Decimal("0.00018") + Decimal("0.00261")


def test_anthropic_counts_cached_tokens_beside_the_input(card: RateCard) -> None:
    found = items(card, ANTHROPIC, "anthropic")
    assert units(found) == {
        "llm_input_tokens": 21,
        "llm_cache_write_tokens 5m": 800,
        "llm_cache_write_tokens 1h": 1000,
        "llm_cache_read_tokens": 100_000,
        "llm_web_searches": 2,
        "llm_output_tokens": 503,
    }
    assert total(card, found) == (
        21 * Decimal("0.000003")
        + 800 * Decimal("0.00000375")
        + 1000 * Decimal("0.000006")
        + 100_000 * Decimal("0.0000003")
        + 2 * Decimal("0.01")
        + 503 * Decimal("0.000015")
    )
    assert found[0].properties["context_tokens"] == 101_821


def test_google_counts_thoughts_beside_the_candidates_and_all_at_the_long_price(
    card: RateCard,
) -> None:
    found = items(card, GOOGLE, "google")
    assert units(found) == {
        "llm_input_tokens": 50_000,
        "llm_cache_read_tokens": 200_000,
        "llm_output_tokens": 1500,
    }
    # Above 200,000 tokens: 0.0000025, 0.00000025 and 0.000015.
    assert total(card, found) == Decimal("0.125") + Decimal("0.05") + Decimal("0.0225")


def test_mistral_is_found_under_its_name_in_the_list(card: RateCard) -> None:
    found = items(card, MISTRAL, "mistral")
    assert units(found) == {"llm_input_tokens": 1000, "llm_output_tokens": 500}
    assert {item.properties["model"] for item in found} == {"mistral/mistral-large-latest"}
    # 1000 at 0.0000005, 500 at 0.0000015
    assert total(card, found) == Decimal("0.0005") + Decimal("0.00075")


def test_cached_audio_is_counted_once(card: RateCard) -> None:
    found = items(card, REALTIME, "azure", model="gpt-realtime")
    assert units(found) == {
        "llm_input_tokens": 200,
        "llm_input_audio_tokens": 200,
        "llm_cache_read_tokens": 100,
        "llm_cache_read_audio_tokens": 300,
        "llm_output_tokens": 100,
        "llm_output_audio_tokens": 200,
    }
    assert total(card, found) == (
        200 * Decimal("0.000004")
        + 200 * Decimal("0.000032")
        + 100 * Decimal("0.0000004")
        + 300 * Decimal("0.0000004")
        + 100 * Decimal("0.000016")
        + 200 * Decimal("0.000064")
    )


def test_reasoning_has_its_own_item_where_it_has_its_own_price(card: RateCard) -> None:
    usage = {
        "model": "sonar-deep-research",
        "usage": {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20016,
            "reasoning_tokens": 73395,
            "num_search_queries": 18,
        },
    }
    found = units(items(card, usage, "perplexity"))
    assert found["llm_reasoning_tokens"] == 73_395
    assert found["llm_citation_tokens"] == 20_016


@pytest.mark.parametrize("part", ["whole response", "usage object"])
@pytest.mark.parametrize(
    ("response", "root", "provider", "model"),
    [
        (OPENAI_CHAT, "usage", "openai", "gpt-4o"),
        (OPENAI_RESPONSES, "usage", "openai", "gpt-5.5"),
        (ANTHROPIC, "usage", "anthropic", "claude-sonnet-4-5"),
        (GOOGLE, "usageMetadata", "google", "gemini-2.5-pro"),
        (MISTRAL, "usage", "mistral", "mistral-large-latest"),
        (REALTIME, "response", "azure", "gpt-realtime"),
    ],
)
def test_a_response_and_its_usage_say_the_same(
    card: RateCard, response: dict[str, Any], root: str, provider: str, model: str, part: str
) -> None:
    whole = items(card, response, provider, model=model, service_tier="default")
    given_usage = response if part == "whole response" else response[root]
    found = items(card, given_usage, provider, model=model, service_tier="default")
    assert [(item.code, item.properties) for item in found] == [
        (item.code, item.properties) for item in whole
    ]


@pytest.fixture(scope="module")
def plain() -> RateCard:
    """A model whose input and output have a price, and nothing else has."""
    return card_of(
        read_litellm(b'{"m": {"input_cost_per_token": 2e-6, "output_cost_per_token": 1e-5}}')
    )


def test_parts_without_a_price_stay_in_what_they_are_part_of(plain: RateCard) -> None:
    found = items(plain, REALTIME, "azure", model="m")
    assert units(found) == {"llm_input_tokens": 800, "llm_output_tokens": 300}


def test_what_is_part_of_nothing_and_has_no_price_is_not_free(plain: RateCard) -> None:
    with pytest.raises(Invalid) as refused:
        items(plain, ANTHROPIC, "anthropic", model="m")
    assert (refused.value.field, refused.value.code) == ("usage", "price_not_found")
    without_searches = {
        **ANTHROPIC["usage"],
        "server_tool_use": {"web_search_requests": 0},
    }
    found = items(plain, without_searches, "anthropic", model="m")
    assert units(found) == {"llm_input_tokens": 101_821, "llm_output_tokens": 503}


def test_a_call_that_used_nothing_is_one_item_of_nothing(card: RateCard) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    assert units(items(card, usage, "openai", model="gpt-4o")) == {"llm_input_tokens": 0}


def test_callers_properties_go_with_each_item(card: RateCard) -> None:
    found = items(card, OPENAI_CHAT, "openai", properties={"end_user": "u-1", "tokens": 5})
    assert [item.properties["end_user"] for item in found] == ["u-1"] * 3
    assert units(found)["llm_input_tokens"] == 86


def test_prices_by_the_request_count_one() -> None:
    card = card_of(
        read_litellm(
            b'{"m": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,'
            b' "input_cost_per_request": 0.005}}'
        )
    )
    usage = {"prompt_tokens": 10, "completion_tokens": 1}
    found = items(card, usage, "openai", model="m")
    assert units(found)["llm_requests"] == 1


@pytest.mark.parametrize(
    ("provider", "said", "expected"),
    [
        ("openai", "fast", "priority"),
        ("openai", "default", None),
        ("openai", "auto", None),
        ("anthropic", "fast", "fast"),
        ("openai", "Batch", "batch"),
    ],
)
def test_how_a_call_was_served_is_one_word_for_all(
    provider: str, said: str, expected: str | None
) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    read = read_usage(usage, provider=provider, model="m", service_tier=said)
    assert read.service_tier == expected


def test_a_response_says_how_it_was_served() -> None:
    def tier(response: dict[str, Any], provider: str) -> str | None:
        return read_usage(response, provider=provider, model="m", service_tier=None).service_tier

    assert tier(OPENAI_RESPONSES, "openai") == "flex"
    usage = {"input_tokens": 1, "output_tokens": 1}
    assert tier({"usage": usage | {"speed": "fast"}}, "anthropic") == "fast"
    assert tier({"usage": usage | {"service_tier": "batch"}}, "anthropic") == "batch"
    google = {"promptTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"}
    assert tier({"usageMetadata": google}, "google") == "priority"
    assert tier({"usage": usage, "service_tier": ["flex"]}, "anthropic") is None


@pytest.mark.parametrize(
    ("provider", "model", "names"),
    [
        ("openai", "gpt-4o-2024-08-06", ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06")),
        ("azure", "gpt-4o", ("azure/gpt-4o", "gpt-4o")),
        ("mistral", "mistral-large-latest", ("mistral-large-latest",)),
        ("google-vertex", "models/gemini-2.5-pro", ("gemini-2.5-pro",)),
        ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", ("bedrock/anthropic.claude",)),
    ],
)
def test_a_model_may_have_several_names_the_most_particular_first(
    provider: str, model: str, names: tuple[str, ...]
) -> None:
    usage = {"promptTokenCount": 1} if "google" in provider else {"prompt_tokens": 1}
    usage |= {"completion_tokens": 1, "inputTokens": 1, "outputTokens": 1}
    found = read_usage(usage, provider=provider, model=model, service_tier=None).models
    for position, name in enumerate(names):
        assert found[position].startswith(name)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"provider": None}, "provider", "value_is_mandatory"),
        ({"provider": ""}, "provider", "value_is_mandatory"),
        ({"provider": "nobody"}, "provider", "value_is_invalid"),
        ({"provider": "x" * 10_000}, "provider", "value_is_invalid"),
        ({"provider": "\x00"}, "provider", "value_is_invalid"),
        ({"provider": "novita"}, "provider", "value_is_invalid"),
        ({"model": None}, "model", "value_is_mandatory"),
        ({"model": "gpt-9"}, "model", "price_not_found"),
        ({"model": "x" * 256}, "model", "value_is_too_long"),
        ({"usage": {}}, "usage", "value_is_invalid"),
        ({"usage": {"usage": []}}, "usage", "value_is_invalid"),
        ({"usage": {"tokens": 3}}, "usage", "value_is_invalid"),
        ({"usage": GOOGLE}, "usage", "value_is_invalid"),
        ({"usage": {"prompt_tokens": 3}}, "model", "price_not_found"),
        ({"usage": {"input_token_details": {"audio_tokens": 4}}}, "usage", "value_is_invalid"),
    ],
)
def test_what_cannot_be_read_is_named(
    card: RateCard, change: dict[str, Any], field: str, code: str
) -> None:
    said = {
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    } | change
    if change == {"usage": {"prompt_tokens": 3}}:
        said["model"] = "gpt-9"  # an embedding says no more
    with pytest.raises(Invalid) as refused:
        items(card, said["usage"], said["provider"], model=said["model"])
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize(
    "number",
    ["12", True, [], {}, -1, Decimal("NaN"), Decimal("1E+999999"), Decimal("-0.5"), 10**40],
)
@pytest.mark.parametrize("path", ["prompt_tokens", "prompt_tokens_details.cached_tokens"])
def test_a_number_that_is_none_is_named_by_where_it_stands(
    card: RateCard, number: Any, path: str
) -> None:
    usage: dict[str, Any] = {
        "prompt_tokens": 5,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    *parents, last = path.split(".")
    holder = usage
    for parent in parents:
        holder = holder[parent]
    holder[last] = number
    with pytest.raises(Invalid) as refused:
        items(card, {"model": "gpt-4o", "usage": usage}, "openai")
    assert refused.value.field == f"usage.usage.{path}"
    with pytest.raises(Invalid) as refused:
        items(card, usage, "openai", model="gpt-4o")
    assert refused.value.field == f"usage.{path}"


@pytest.mark.parametrize(
    "odd",
    [
        {"promptTokensDetails": "many"},
        {"promptTokensDetails": {"modality": "AUDIO"}},
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": "3"}]},
    ],
)
def test_a_list_that_is_none_is_refused(card: RateCard, odd: dict[str, Any]) -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 1} | odd
    with pytest.raises(Invalid) as refused:
        items(card, usage, "google", model="gemini-2.5-pro")
    assert refused.value.field == "usage.promptTokensDetails.tokenCount"


def test_entries_that_name_no_modality_are_of_no_account(card: RateCard) -> None:
    details = [7, None, {"modality": ["AUDIO"], "tokenCount": 3}, {"tokenCount": 3}]
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 1, "promptTokensDetails": details}
    found = items(card, usage, "google", model="gemini-2.5-pro")
    assert units(found) == {"llm_input_tokens": 10, "llm_output_tokens": 1}


def test_parts_that_exceed_the_whole_are_refused(card: RateCard) -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 11},
    }
    with pytest.raises(Invalid) as refused:
        items(card, usage, "openai", model="gpt-4o")
    assert (refused.value.field, refused.value.code) == ("usage", "value_is_invalid")


@pytest.fixture(scope="module")
def package_card() -> RateCard:
    return card_of(read_genai_prices(on=date(2026, 11, 1)))


counts = st.integers(0, 10**6)


@st.composite
def openai_bodies(draw: st.DrawFn) -> dict[str, Any]:
    cached, written, rest, reasoning, said = (draw(counts) for _ in range(5))
    return {
        "model": draw(st.sampled_from(["gpt-4o", "gpt-5.5", "gpt-6-sol", "o4-mini"])),
        "usage": {
            "prompt_tokens": cached + written + rest,
            "completion_tokens": reasoning + said,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }


@st.composite
def anthropic_bodies(draw: st.DrawFn) -> dict[str, Any]:
    minutes, hour = draw(counts), draw(counts)
    return {
        "model": draw(st.sampled_from(["claude-sonnet-4-5", "claude-haiku-5-5", "claude-opus-5"])),
        "usage": {
            "input_tokens": draw(counts),
            "output_tokens": draw(counts),
            "cache_read_input_tokens": draw(counts),
            "cache_creation_input_tokens": minutes + hour,
            "cache_creation": {
                "ephemeral_5m_input_tokens": minutes,
                "ephemeral_1h_input_tokens": hour,
            },
            "server_tool_use": {"web_search_requests": draw(st.integers(0, 9))},
        },
    }


@st.composite
def google_bodies(draw: st.DrawFn) -> dict[str, Any]:
    cached, cached_audio, text, audio = (draw(counts) for _ in range(4))
    return {
        "modelVersion": draw(st.sampled_from(["gemini-2.5-pro", "gemini-2.5-flash"])),
        "usageMetadata": {
            "promptTokenCount": cached + cached_audio + text + audio,
            "cachedContentTokenCount": cached + cached_audio,
            "candidatesTokenCount": draw(counts),
            "thoughtsTokenCount": draw(counts),
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": text + cached},
                {"modality": "AUDIO", "tokenCount": audio + cached_audio},
            ],
            "cacheTokensDetails": [
                {"modality": "TEXT", "tokenCount": cached},
                {"modality": "AUDIO", "tokenCount": cached_audio},
            ],
        },
    }


@given(
    st.one_of(
        st.tuples(st.just("openai"), st.just("chat"), openai_bodies()),
        st.tuples(st.just("anthropic"), st.just("default"), anthropic_bodies()),
        st.tuples(st.just("google"), st.just("default"), google_bodies()),
    )
)
def test_a_usage_costs_what_the_package_itself_says(
    package_card: RateCard, case: tuple[str, str, dict[str, Any]]
) -> None:
    provider, flavor, body = case
    ours = total(package_card, items(package_card, body, provider))
    extracted = extract_usage(body, provider_id=provider, api_flavor=flavor)
    assert ours == extracted.calc_price(genai_request_timestamp=ON).total_price
