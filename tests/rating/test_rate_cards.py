"""Rate cards: which lines an event gives."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from rating import (
    Charge,
    ChargeFilter,
    InvalidQuantity,
    MissingProperty,
    Package,
    RateCard,
    Standard,
    UnknownCode,
    UnknownPrice,
    linear,
)

PLAN_VERSION_ID = UUID(int=7)
INPUT_ID, CALLS_ID, GPU_ID, MODEL_ID = (UUID(int=number) for number in range(10, 14))

DEARER = Standard(amount=Decimal("0.0000025"))
PER_CALL = Package(amount=Decimal(1), package_size=1_000)
GPU_SECOND = Standard(amount=Decimal("0.00027"))

CARD = RateCard.compile(
    PLAN_VERSION_ID,
    [
        Charge(
            id=INPUT_ID,
            code="input",
            billable_metric_code="llm_input_tokens",
            aggregation="sum_agg",
            field_name="tokens",
            filters=(ChargeFilter(id=MODEL_ID, values={"model": ("gpt-4o",)}, model=DEARER),),
            asset_code="USD",
        ),
        Charge(
            id=CALLS_ID,
            code="calls",
            billable_metric_code="api_calls",
            aggregation="count_agg",
            model=PER_CALL,
            asset_code="USD",
        ),
        Charge(
            id=GPU_ID,
            code="gpu",
            billable_metric_code="api_calls",
            aggregation="sum_agg",
            field_name="gpu_s",
            model=GPU_SECOND,
            asset_code="GPU_HOUR",
        ),
    ],
)


def test_a_line_carries_the_price_of_the_filter_that_took_the_event() -> None:
    (line,) = CARD.lines("llm_input_tokens", {"model": "gpt-4o", "tokens": 374})
    assert (line.charge_id, line.filter_id, line.model) == (INPUT_ID, MODEL_ID, DEARER)
    assert (line.bucket.code, line.asset_code, line.units) == ("llm_input_tokens", "USD", 374)
    assert line.bucket is CARD.bucket(INPUT_ID, MODEL_ID)
    assert linear(line) == Decimal("0.000935")


def test_every_charge_of_the_code_gives_a_line() -> None:
    calls, gpu = CARD.lines("api_calls", {"gpu_s": "1.5"})
    assert (calls.charge_id, calls.asset_code, calls.units, calls.model) == (
        CALLS_ID,
        "USD",
        Decimal(1),
        PER_CALL,
    )
    assert (gpu.charge_id, gpu.asset_code, gpu.units, gpu.model) == (
        GPU_ID,
        "GPU_HOUR",
        Decimal("1.5"),
        GPU_SECOND,
    )
    assert CARD.assets("api_calls") == ()
    assert CARD.assets("llm_input_tokens") == ("USD",)


def test_a_card_knows_its_codes_and_its_version() -> None:
    assert CARD.codes == {"llm_input_tokens", "api_calls"}
    assert CARD.plan_version_id == PLAN_VERSION_ID


def test_an_unknown_code_has_no_price() -> None:
    with pytest.raises(UnknownCode) as refused:
        CARD.lines("llm_thoughts", {})
    assert (refused.value.field, refused.value.code) == ("code", "llm_thoughts")


def test_an_unknown_model_is_not_free() -> None:
    with pytest.raises(UnknownPrice) as refused:
        CARD.lines("llm_input_tokens", {"model": "gpt-9", "tokens": 1})
    assert refused.value.field == "model"


def test_usage_without_its_quantity_has_no_price() -> None:
    with pytest.raises(MissingProperty) as refused:
        CARD.lines("llm_input_tokens", {"model": "gpt-4o"})
    assert refused.value.field == "tokens"


@pytest.mark.parametrize("tokens", ["many", True, 1.5, "NaN", "1" * 31])
def test_usage_with_an_odd_quantity_has_no_price(tokens: object) -> None:
    with pytest.raises(InvalidQuantity) as refused:
        CARD.lines("llm_input_tokens", {"model": "gpt-4o", "tokens": tokens})
    assert refused.value.field == "tokens"


def test_a_sum_without_a_field_is_no_charge() -> None:
    with pytest.raises(ValueError, match="field_name"):
        Charge(
            id=INPUT_ID,
            code="input",
            billable_metric_code="llm_input_tokens",
            aggregation="sum_agg",
            asset_code="USD",
        )


def test_charges_survive_being_stored_as_json() -> None:
    stored = msgspec.json.encode(CARD.charges)
    read = msgspec.json.decode(stored, type=tuple[Charge, ...])
    assert read == CARD.charges
    lines = RateCard.compile(PLAN_VERSION_ID, read).lines("api_calls", {"gpu_s": 2})
    assert lines == CARD.lines("api_calls", {"gpu_s": 2})


def test_what_a_line_costs_to_find_does_not_grow_with_the_filters() -> None:
    """Counted in look-ups, not in time: every filter of one shape is one dictionary."""
    many = tuple(
        ChargeFilter(id=UUID(int=number), values={"model": (f"model-{number}",)}, model=DEARER)
        for number in range(2_000)
    )
    charge = msgspec.structs.replace(CARD.charges[0], filters=many)
    properties = _Counting({"model": "model-1999", "tokens": 1})
    (line,) = RateCard.compile(PLAN_VERSION_ID, [charge]).lines("llm_input_tokens", properties)
    assert line.filter_id == UUID(int=1_999)
    assert properties.reads <= 3


class _Counting(dict[str, object]):
    """Properties that count how often they are looked at."""

    reads = 0

    def get(self, key: str, default: object = None) -> object:
        self.reads += 1
        return super().get(key, default)
