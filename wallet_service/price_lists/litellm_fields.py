"""What the fields of LiteLLM's price file mean: which metric they price, and when.

A field is a base (`input_cost_per_token`) and, behind it, what narrows it down:

    cache_creation_input_token_cost _above_1hr _above_200k_tokens _batches
    base                            cache life context            service tier

Source of the meanings: LiteLLM's own cost calculation (`litellm_core_utils/llm_cost_calc`, MIT).
A context tier holds for all tokens of a call whose input is larger than it, and so do the entries
of `tiered_pricing` (`select_tier_for_input`); xAI's hold from that size on.
"""

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from wallet_service.price_lists.lists import Reason
from wallet_service.price_lists.metrics import CACHE_TTL, RESOLUTION, SERVICE_TIER

BASES: Final = {
    "input_cost_per_token": "llm_input_tokens",
    "output_cost_per_token": "llm_output_tokens",
    "cache_read_input_token_cost": "llm_cache_read_tokens",
    "input_cost_per_token_cache_hit": "llm_cache_read_tokens",
    "cache_creation_input_token_cost": "llm_cache_write_tokens",
    "output_cost_per_reasoning_token": "llm_reasoning_tokens",
    "citation_cost_per_token": "llm_citation_tokens",
    "input_cost_per_audio_token": "llm_input_audio_tokens",
    "output_cost_per_audio_token": "llm_output_audio_tokens",
    "cache_read_input_audio_token_cost": "llm_cache_read_audio_tokens",
    "cache_creation_input_audio_token_cost": "llm_cache_write_audio_tokens",
    "input_cost_per_image_token": "llm_input_image_tokens",
    "output_cost_per_image_token": "llm_output_image_tokens",
    "cache_read_input_image_token_cost": "llm_cache_read_image_tokens",
    "input_cost_per_video_token": "llm_input_video_tokens",
    "output_cost_per_video_token": "llm_output_video_tokens",
    "input_cost_per_character": "llm_input_characters",
    "output_cost_per_character": "llm_output_characters",
    "input_cost_per_image": "llm_input_images",
    "output_cost_per_image": "llm_output_images",
    "input_cost_per_pixel": "llm_input_pixels",
    "output_cost_per_pixel": "llm_output_pixels",
    "cost_per_second": "llm_seconds",
    "input_cost_per_second": "llm_input_seconds",
    "output_cost_per_second": "llm_output_seconds",
    "input_cost_per_audio_per_second": "llm_input_audio_seconds",
    "input_cost_per_video_per_second": "llm_input_video_seconds",
    "output_cost_per_video_per_second": "llm_output_video_seconds",
    "input_cost_per_text_message": "llm_text_messages",
    "input_cost_per_request": "llm_requests",
    "input_cost_per_query": "llm_queries",
    "google_maps_grounding_cost_per_query": "llm_map_searches",
    "code_interpreter_cost_per_session": "llm_code_sessions",
    "ocr_cost_per_page": "llm_pages",
    "annotation_cost_per_page": "llm_annotated_pages",
    "ocr_cost_per_credit": "llm_ocr_credits",
}
"""What one unit costs → the metric that counts the units."""

_BY_RESOLUTION: Final = re.compile(
    r"(?P<base>output_cost_per_image|output_cost_per_second)_(?P<resolution>[0-9][0-9A-Za-z.]*)"
)
_NARROWED: Final = re.compile(
    r"(?P<base>.+?)(?:_above_(?P<hours>1|12)hr)?(?:_above_(?P<thousands>[0-9]{1,6})k_tokens)?"
    r"(?:_(?P<tier>batches|priority|flex|ultrafast|balanced|decisions))?"
)
_CACHE_WRITE: Final = "cache_creation_input_token_cost"
_TIERS: Final = {"batches": "batch"}
_OTHERS: Final = (
    (re.compile(r"(?:in|out)put_dbu_cost_per_token"), Reason.OTHER_CURRENCY),
    (re.compile(r".+_cost_per_video_per_second_above_[0-9]+s_interval"), Reason.OTHER_CONDITION),
    (re.compile(r"explicit_cache_read_input_token_cost"), Reason.OTHER_CONDITION),
    (re.compile(r"regional_\w*_multiplier(?:_\w+)?"), Reason.MULTIPLIER),
    (re.compile(r".*(?:cost|price|pricing|multiplier|uplift).*"), Reason.UNKNOWN),
)


class Meaning(Struct, frozen=True):
    """A field's metric, and when the price holds."""

    metric: str
    when: dict[str, tuple[str, ...]] = {}
    context_above: int | None = None
    """The size of context above which it holds."""


@lru_cache(maxsize=4096)
def meaning_of(field: str) -> Meaning | Reason | None:
    """What a field prices, or why that is not read; None for what is no price."""
    if field in BASES:
        return Meaning(BASES[field])
    by_resolution = _BY_RESOLUTION.fullmatch(field)
    if by_resolution is not None:
        return Meaning(BASES[by_resolution["base"]], {RESOLUTION: (by_resolution["resolution"],)})
    narrowed = _NARROWED.fullmatch(field)
    if narrowed is not None and narrowed["base"] in BASES:
        return _narrow(narrowed)
    return next((reason for pattern, reason in _OTHERS if pattern.fullmatch(field)), None)


def _narrow(field: re.Match[str]) -> Meaning | Reason:
    if field["tier"] == "decisions":
        return Reason.OTHER_ENDPOINT
    if field["hours"] and field["base"] != _CACHE_WRITE:
        return Reason.UNKNOWN
    when: dict[str, tuple[str, ...]] = {}
    if field["hours"]:
        when[CACHE_TTL] = (f"{field['hours']}h",)
    if field["tier"]:
        when[SERVICE_TIER] = (_TIERS.get(field["tier"], field["tier"]),)
    above = field["thousands"]
    return Meaning(BASES[field["base"]], when, None if above is None else int(above) * 1000)
