"""How many units an event stands for: one file per aggregation.

To add an aggregation: its file, its name in `Aggregation` and in `AGGREGATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from rating.aggregations import count
from rating.aggregations import sum as sum_

Aggregation: TypeAlias = Literal["count_agg", "sum_agg"]

Quantify: TypeAlias = Callable[[Mapping[str, object], str | None], Decimal]
"""Properties of an event and the metric's field name → the event's units."""

AGGREGATIONS: Final[Mapping[Aggregation, Quantify]] = {
    "count_agg": count.quantify,
    "sum_agg": sum_.quantify,
}
