"""A price list as a plan would have it, to ask it for prices."""

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from rating import Charge, ChargeFilter, RateCard, Standard, linear
from wallet_service.items import ItemRequest
from wallet_service.price_lists import Price, PriceList
from wallet_service.price_lists.metrics import METRICS, MODEL

EXCERPT = Path(__file__).with_name("litellm_excerpt.json")
"""Some forty entries of the price file of litellm 1.109.1, without what is no price.

MIT License, Copyright (c) 2023 Berri AI: see wallet_service/price_lists/NOTICE.
"""

WHOLE_FILE = Path(
    os.environ.get("LITELLM_PRICE_FILE")
    or Path(__file__).parents[4] / "shared" / "data" / "litellm_model_prices.json"
)
"""LiteLLM's price file in full (of 1.109.1), where it is at hand."""


def card_of(price_list: PriceList) -> RateCard:
    """Charges without a default price, with a filter per price, as an import makes them."""
    by_metric: dict[str, list[Price]] = {}
    for price in price_list.prices:
        by_metric.setdefault(price.metric, []).append(price)
    return RateCard.compile(
        UUID(int=1),
        [
            Charge(
                id=UUID(int=number),
                code=metric,
                billable_metric_code=metric,
                aggregation="sum_agg",
                field_name=METRICS[metric].field_name,
                filters=tuple(
                    ChargeFilter(
                        id=UUID(int=position + 1),
                        values={MODEL: (price.model,), **dict(price.when)},
                        model=Standard(amount=price.amount),
                    )
                    for position, price in enumerate(prices)
                ),
                asset_code="USD",
            )
            for number, (metric, prices) in enumerate(by_metric.items(), start=100)
        ],
    )


def cost(card: RateCard, code: str, properties: Mapping[str, Any]) -> Decimal:
    """What one item costs."""
    (line,) = card.lines(code, properties)
    return linear(line)


def total(card: RateCard, items: Iterable[ItemRequest]) -> Decimal:
    """What items cost together."""
    return sum((cost(card, item.code, item.properties) for item in items), Decimal(0))
