"""What is wrong with an item is said of the field that is wrong."""

from decimal import Decimal
from uuid import UUID

import pytest
from msgspec import structs

from rating.charge_models import Standard
from rating.charges import Charge
from rating.rate_cards import RateCard
from wallet_service.errors import Invalid
from wallet_service.items import ItemRequest, common_assets, rate_items


def charge(number: int, code: str, field_name: str) -> Charge:
    return Charge(
        id=UUID(int=number),
        code=code,
        billable_metric_code=code,
        aggregation="sum_agg",
        field_name=field_name,
        model=Standard(amount=Decimal("0.01")),
        asset_code="USD",
    )


CARD = RateCard.compile(UUID(int=1), [charge(2, "input", "tokens"), charge(3, "render", "seconds")])
FINE = ItemRequest("input", {"tokens": 5})


@pytest.mark.parametrize(
    ("item", "field", "code"),
    [
        (ItemRequest("input", {"tokens": -5}), "properties.tokens", "value_is_out_of_range"),
        (ItemRequest("render", {"seconds": "-0.1"}), "properties.seconds", "value_is_out_of_range"),
        (ItemRequest("input", {}), "properties.tokens", "value_is_mandatory"),
        (ItemRequest("input", {"tokens": "many"}), "properties.tokens", "value_is_invalid"),
        (ItemRequest("output", {"tokens": 5}), "code", "billable_metric_not_found"),
    ],
)
def test_the_property_that_is_wrong_is_named(item: ItemRequest, field: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        rate_items([FINE, item], CARD, "USD")
    assert (refused.value.field, refused.value.code) == (f"items.1.{field}", code)


def test_nothing_is_a_quantity_too() -> None:
    (item,) = rate_items([ItemRequest("input", {"tokens": 0})], CARD, "USD")
    assert item.lines[0].exact == Decimal(0)


def test_an_item_can_be_paid_in_the_assets_that_all_its_items_have() -> None:
    in_gpu = charge(4, "train", "seconds")
    in_dollars = structs.replace(in_gpu, id=UUID(int=5))
    hours_first = structs.replace(in_gpu, asset_code="GPU_HOUR", alternatives=(in_dollars,))
    hours_only = structs.replace(
        in_gpu, id=UUID(int=6), billable_metric_code="idle", asset_code="GPU_HOUR"
    )
    card = RateCard.compile(UUID(int=1), [hours_first, hours_only, charge(2, "input", "tokens")])
    assert common_assets(["train"], card) == ("GPU_HOUR", "USD")
    assert common_assets(["train", "idle"], card) == ("GPU_HOUR",)
    assert common_assets(["train", "input"], card) == ("USD",)
    with pytest.raises(Invalid) as refused:
        common_assets(["idle", "input"], card)
    assert (refused.value.field, refused.value.code) == ("items", "mixed_assets")
    with pytest.raises(Invalid) as refused:
        common_assets(["idle", "unknown"], card)
    assert (refused.value.field, refused.value.code) == (
        "items.1.code",
        "billable_metric_not_found",
    )
