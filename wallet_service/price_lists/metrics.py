"""The metrics that price lists price: one for each kind of unit.

A metric sums one property of its events. Everything else that a price depends on is a filter: the
model always, and of what `FILTER_KEYS` names whatever the list knows.
"""

from typing import Final

from msgspec import Struct

MODEL: Final = "model"
CONTEXT: Final = "context_tokens"
"""How many tokens the call as a whole had as input, the cached ones included: all of a call's
tokens may cost more beyond some size. Filters have bounds on it (`>200000`)."""
SERVICE_TIER: Final = "service_tier"
"""How the call was served: `batch`, `flex`, `priority`, `fast` …; anything else is standard."""
CACHE_TTL: Final = "cache_ttl"
"""For how long tokens were written to the cache: `1h` or `12h`, else the usual minutes."""
RESOLUTION: Final = "resolution"
"""Of an image or a video: `1080p`, `2K` …"""
SEARCH_SIZE: Final = "search_context_size"
"""How much a web search reads: `low` or `high`, else medium."""
MAX_RESULTS: Final = "max_results"
"""How many results a query asks for, where more cost more."""
POLICY: Final = "policy"
"""Which policy of a guardrail was applied."""

FILTER_KEYS: Final = (
    MODEL,
    CONTEXT,
    SERVICE_TIER,
    CACHE_TTL,
    RESOLUTION,
    SEARCH_SIZE,
    MAX_RESULTS,
    POLICY,
)


class ListedMetric(Struct, frozen=True):
    """A metric: its name, and the property that it sums."""

    name: str
    field_name: str = "tokens"


METRICS: Final = {
    "llm_input_tokens": ListedMetric("LLM input tokens"),
    "llm_output_tokens": ListedMetric("LLM output tokens"),
    "llm_cache_read_tokens": ListedMetric("LLM tokens read from cache"),
    "llm_cache_write_tokens": ListedMetric("LLM tokens written to cache"),
    "llm_reasoning_tokens": ListedMetric("LLM reasoning tokens"),
    "llm_citation_tokens": ListedMetric("LLM citation tokens"),
    "llm_input_audio_tokens": ListedMetric("LLM audio input tokens"),
    "llm_output_audio_tokens": ListedMetric("LLM audio output tokens"),
    "llm_cache_read_audio_tokens": ListedMetric("LLM audio tokens read from cache"),
    "llm_cache_write_audio_tokens": ListedMetric("LLM audio tokens written to cache"),
    "llm_input_image_tokens": ListedMetric("LLM image input tokens"),
    "llm_output_image_tokens": ListedMetric("LLM image output tokens"),
    "llm_cache_read_image_tokens": ListedMetric("LLM image tokens read from cache"),
    "llm_input_video_tokens": ListedMetric("LLM video input tokens"),
    "llm_output_video_tokens": ListedMetric("LLM video output tokens"),
    "llm_input_characters": ListedMetric("LLM input characters", "characters"),
    "llm_output_characters": ListedMetric("LLM output characters", "characters"),
    "llm_input_images": ListedMetric("LLM input images", "images"),
    "llm_output_images": ListedMetric("LLM output images", "images"),
    "llm_input_pixels": ListedMetric("LLM input pixels", "pixels"),
    "llm_output_pixels": ListedMetric("LLM output pixels", "pixels"),
    "llm_seconds": ListedMetric("LLM seconds of capacity", "seconds"),
    "llm_input_seconds": ListedMetric("LLM input seconds", "seconds"),
    "llm_output_seconds": ListedMetric("LLM output seconds", "seconds"),
    "llm_audio_seconds": ListedMetric("LLM audio seconds", "seconds"),
    "llm_input_audio_seconds": ListedMetric("LLM audio input seconds", "seconds"),
    "llm_output_audio_seconds": ListedMetric("LLM audio output seconds", "seconds"),
    "llm_input_video_seconds": ListedMetric("LLM video input seconds", "seconds"),
    "llm_output_video_seconds": ListedMetric("LLM video output seconds", "seconds"),
    "llm_text_messages": ListedMetric("LLM text messages", "messages"),
    "llm_requests": ListedMetric("LLM requests", "requests"),
    "llm_queries": ListedMetric("LLM search and rerank queries", "queries"),
    "llm_web_searches": ListedMetric("LLM web searches", "searches"),
    "llm_map_searches": ListedMetric("LLM map searches", "searches"),
    "llm_file_searches": ListedMetric("LLM file searches", "searches"),
    "llm_code_sessions": ListedMetric("LLM code interpreter sessions", "sessions"),
    "llm_pages": ListedMetric("LLM document pages", "pages"),
    "llm_annotated_pages": ListedMetric("LLM annotated document pages", "pages"),
    "llm_ocr_credits": ListedMetric("LLM document credits", "credits"),
    "llm_guardrail_units": ListedMetric("LLM guardrail units", "units"),
}
"""Billable metric → what it is. What a list prices has one of these codes."""

CORE: Final = tuple(METRICS)[:4]
"""Those that an organization has from the first import on, priced or not."""
