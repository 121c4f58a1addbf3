"""Filters: an event goes to the matching filter with the most keys, else to the default bucket."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from rating import (
    Charge,
    ChargeFilter,
    InvalidQuantity,
    MissingProperty,
    RatingError,
    Standard,
    UnknownPrice,
)
from rating.filters import ALL_VALUES, Buckets

DECLARED = {
    "model": ("gpt-4o", "gpt-4o-mini", "o3"),
    "region": ("eu", "us"),
    "cached": ("true", "false"),
}
DEFAULT = Standard(amount=Decimal(99))


def filters(*values: dict[str, tuple[str, ...]]) -> list[ChargeFilter]:
    """Filters priced by their position, so that the price tells which one it was."""
    return [
        ChargeFilter(
            id=UUID(int=position),
            values=chosen,
            model=Standard(amount=Decimal(position)),
        )
        for position, chosen in enumerate(values, start=1)
    ]


def buckets(*values: dict[str, tuple[str, ...]], default: Standard | None = DEFAULT) -> Buckets:
    charge = Charge(
        id=UUID(int=99),
        code="llm_input_tokens",
        billable_metric_code="llm_input_tokens",
        aggregation="count_agg",
        model=default,
        filters=tuple(filters(*values)),
        asset_code="USD",
    )
    return Buckets(charge, declared=DECLARED)


def position(found_in: Buckets, properties: dict[str, object]) -> int | None:
    """Which filter takes the event; None: the default bucket."""
    bucket = found_in.find(properties)
    assert found_in.find(properties) is bucket, "whoever asks again gets the same answer"
    filter_id, model = bucket.filter_id, bucket.model
    if filter_id is None:
        assert model is DEFAULT
        return None
    assert isinstance(model, Standard)
    assert model.amount == filter_id.int
    return filter_id.int


def test_the_matching_filter_with_the_most_keys_takes_the_event() -> None:
    priced = buckets({"model": ("gpt-4o",)}, {"model": ("gpt-4o", "o3"), "region": ("eu",)})
    assert position(priced, {"model": "gpt-4o", "region": "eu"}) == 2
    assert position(priced, {"model": "gpt-4o", "region": "us"}) == 1
    assert position(priced, {"model": "gpt-4o"}) == 1
    assert position(priced, {"model": "o3", "region": "eu"}) == 2
    assert position(priced, {"model": "o3", "region": "us"}) is None


def test_unmatched_events_go_to_the_default_bucket() -> None:
    assert position(buckets(), {}) is None
    assert position(buckets({"model": ("o3",)}), {"region": "eu"}) is None


def test_all_values_means_all_that_the_metric_declares() -> None:
    any_model = buckets({"model": (ALL_VALUES,)})
    assert position(any_model, {"model": "o3"}) == 1
    assert position(any_model, {"model": "a-new-one"}) is None
    assert position(any_model, {}) is None


def test_all_values_of_an_undeclared_key_are_none() -> None:
    assert position(buckets({"tier": (ALL_VALUES,)}), {"tier": "gold"}) is None


def test_the_word_for_all_values_is_no_value() -> None:
    assert position(buckets({"model": (ALL_VALUES,)}), {"model": ALL_VALUES}) is None
    assert position(buckets({"model": ("o3",)}), {"model": ALL_VALUES}) is None


def test_a_named_value_beats_all_values() -> None:
    priced = buckets({"model": (ALL_VALUES,)}, {"model": ("o3",)})
    assert position(priced, {"model": "o3"}) == 2
    assert position(priced, {"model": "gpt-4o"}) == 1


def test_between_equals_the_filter_defined_first_wins() -> None:
    by_region_first = buckets({"region": ("eu",)}, {"model": ("o3",)})
    by_model_first = buckets({"model": ("o3",)}, {"region": ("eu",)}, {"model": ("o3",)})
    assert position(by_region_first, {"model": "o3", "region": "eu"}) == 1
    assert position(by_model_first, {"model": "o3", "region": "eu"}) == 1


def test_numbers_and_booleans_match_as_they_are_written() -> None:
    priced = buckets({"cached": ("true",)}, {"replicas": ("3",)}, {"size": ("0.5",)})
    assert position(priced, {"cached": True}) == 1
    assert position(priced, {"replicas": 3}) == 2
    assert position(priced, {"size": Decimal("0.5")}) == 3
    for odd in (
        ["true"],
        {"a": 1},
        None,
        Decimal("1E+1000000"),
        Decimal("NaN"),
        10**4_500,
    ):
        assert position(priced, {"cached": odd, "replicas": odd, "size": odd}) is None


def test_what_is_remembered_of_a_text_is_not_said_of_a_value_that_equals_another_name() -> None:
    priced = buckets({"replicas": ("1",)}, {"replicas": ("true",)}, {"replicas": ("1.0",)})
    asked: tuple[object, ...] = ("1", "true", "1.0", 1, True, Decimal("1.0"), Decimal(1))
    expected = [1, 2, 3, 1, 2, 3, 1]
    assert [position(priced, {"replicas": value}) for value in asked] == expected
    assert [position(priced, {"replicas": value}) for value in reversed(asked)] == expected[::-1]


def test_names_without_end_are_answered_and_not_all_remembered() -> None:
    priced = buckets({"model": ("o3",)})
    for number in range(3_000):
        assert position(priced, {"model": f"model-{number}"}) is None
    assert position(priced, {"model": "o3"}) == 1
    assert position(priced, {"model": "x" * 10_000}) is None
    assert len(priced._found) <= 512
    assert all(len(name) < 100 for (name,) in priced._found)


@pytest.mark.parametrize(
    ("properties", "error", "field"),
    [
        ({}, MissingProperty, "model"),
        ({"model": None}, MissingProperty, "model"),
        ({"model": "a-new-one"}, UnknownPrice, "model"),
        ({"model": "o3"}, MissingProperty, "region"),
        ({"model": "o3", "region": "mars"}, UnknownPrice, "region"),
        ({"model": "o3", "region": "us"}, UnknownPrice, "model"),
    ],
)
def test_without_a_default_bucket_the_unlisted_has_no_price(
    properties: dict[str, object], error: type[RatingError], field: str
) -> None:
    priced = buckets(
        {"model": ("o3",), "region": ("eu",)},
        {"model": ("gpt-4o",), "region": ("us",)},
        default=None,
    )
    with pytest.raises(error) as refused:
        priced.find(properties)
    assert refused.value.field == field


LONG = {"model": ("o3",), "context_tokens": (">200000",)}
LONGER = {"model": ("o3",), "context_tokens": (">272000", ">1000000")}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (None, 1),
        (0, 1),
        (200_000, 1),
        ("200001", 2),
        (Decimal("200000.5"), 2),
        (272_000, 2),
        (272_001, 3),
        (10**29, 3),
    ],
)
def test_the_highest_bound_below_the_number_takes_the_event(tokens: object, expected: int) -> None:
    priced = buckets({"model": ("o3",)}, LONG, LONGER)
    assert position(priced, {"model": "o3", "context_tokens": tokens}) == expected


def test_each_value_has_its_own_bounds() -> None:
    priced = buckets({"model": ("gpt-4o",), "context_tokens": (">100000",)}, LONG)
    assert position(priced, {"model": "o3", "context_tokens": 150_000}) is None
    assert position(priced, {"model": "gpt-4o", "context_tokens": 300_000}) == 1


def test_a_bound_beats_another_value_of_as_many_keys_whatever_their_order() -> None:
    tier = {"model": ("o3",), "cached": ("true",)}
    event: dict[str, object] = {"model": "o3", "cached": True, "context_tokens": 250_000}
    assert position(buckets(tier, LONG), event) == 2
    assert position(buckets(LONG, tier), event) == 1
    assert position(buckets(tier, LONG, {**tier, **LONG}), event) == 3


@pytest.mark.parametrize("odd", ["many", True, [1], 10**30, Decimal("NaN"), Decimal("1E+1000000")])
def test_what_has_a_bound_has_to_be_a_number_where_it_decides(odd: object) -> None:
    priced = buckets({"model": ("o3",)}, LONG)
    with pytest.raises(InvalidQuantity) as refused:
        priced.find({"model": "o3", "context_tokens": odd})
    assert refused.value.field == "context_tokens"
    assert position(priced, {"model": "gpt-4o", "context_tokens": odd}) is None


def test_values_that_are_not_all_bounds_are_names() -> None:
    mixed = buckets({"region": (">1", "eu")})
    assert position(mixed, {"region": ">1"}) == 1
    assert position(mixed, {"region": "2"}) is None


def test_an_unknown_value_is_named_before_a_number_that_is_no_name() -> None:
    priced = buckets(LONG, {"model": ("o3",)}, default=None)
    with pytest.raises(UnknownPrice) as refused:
        priced.find({"model": "a-new-one"})
    assert refused.value.field == "model"
    bounded = buckets(LONG, default=None)
    with pytest.raises(MissingProperty) as missing:
        bounded.find({"model": "o3"})
    assert missing.value.field == "context_tokens"
