"""How many units an event stands for: the number in a property, or one.

What the units of many events come to (their sum, the greatest, the last …) is `rating.steps`' and
`rating.period_rating`'s.

To add an aggregation: its file, its name in `Aggregation` and in `AGGREGATIONS`, and its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from rating.aggregations import count, unique_count
from rating.aggregations import sum as sum_

Aggregation: TypeAlias = Literal[
    "count_agg", "sum_agg", "max_agg", "latest_agg", "unique_count_agg", "weighted_sum_agg"
]

Quantify: TypeAlias = Callable[[Mapping[str, object], str | None], Decimal]
"""Properties of an event and the metric's field name → the event's units."""

AGGREGATIONS: Final[Mapping[Aggregation, Quantify]] = {
    "count_agg": count.quantify,
    "sum_agg": sum_.quantify,
    "max_agg": sum_.quantify,
    "latest_agg": sum_.quantify,
    "unique_count_agg": unique_count.quantify,
    "weighted_sum_agg": sum_.quantify,
}
