"""Billable metrics on the wire."""

from typing import Annotated, Any

from msgspec import UNSET, Struct
from msgspec import Meta as Limits

from invoicing.billable_metrics import BillableMetric, MetricChanges, MetricFilter
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import (
    Code,
    Given,
    Integer,
    Name,
    ShortList,
    Text,
    Word,
    changes,
    iso_seconds,
)


class MetricFilterInput(Struct):
    """A property and its values."""

    key: Name
    values: Annotated[list[Name], Limits(max_length=20_000)]


class MetricInput(Struct):
    """What a caller says of a metric."""

    name: Given[Name] = UNSET
    code: Given[Code] = UNSET
    description: Given[Text] = UNSET
    aggregation_type: Given[Word] = UNSET
    field_name: Given[Name] = UNSET
    recurring: Given[bool] = UNSET
    rounding_function: Given[Word] = UNSET
    rounding_precision: Given[Integer] = UNSET
    weighted_interval: Given[Word] = UNSET
    expression: Given[Text] = UNSET
    filters: Given[ShortList[MetricFilterInput]] = UNSET

    def changes(self) -> MetricChanges:
        """The same for the domain."""
        filters = (
            [MetricFilter(entry.key, entry.values) for entry in self.filters]
            if isinstance(self.filters, list)
            else self.filters
        )
        return changes(self, MetricChanges, filters=filters)


class MetricRequest(Struct):
    """The envelope of a metric to create or change."""

    billable_metric: MetricInput


class SampleEventInput(Struct):
    """An event to try an expression on."""

    code: Given[Code] = UNSET
    timestamp: Any = None
    properties: Given[dict[str, Any]] = UNSET


class EvaluationRequest(Struct):
    """An expression, and the event to try it on."""

    expression: Any = None
    event: Given[SampleEventInput] = UNSET


class EvaluationBody(Struct):
    """What an expression makes of an event."""

    value: str


class EvaluationReply(Struct):
    """The envelope of an expression's value."""

    expression_result: EvaluationBody


class MetricFilterBody(Struct):
    """A property and its values."""

    key: str
    values: list[str]


class MetricBody(Struct, kw_only=True):
    """A metric."""

    lago_id: str
    name: str
    code: str
    description: str | None
    aggregation_type: str
    field_name: str | None
    recurring: bool
    rounding_function: str | None
    rounding_precision: int | None
    weighted_interval: str | None
    expression: str | None
    filters: list[MetricFilterBody]
    created_at: str

    @classmethod
    def of(cls, metric: BillableMetric) -> "MetricBody":
        """Show a metric."""
        return cls(
            lago_id=str(metric.id),
            name=metric.name,
            code=metric.code,
            description=metric.description,
            aggregation_type=metric.aggregation_type,
            field_name=metric.field_name,
            recurring=metric.recurring,
            rounding_function=metric.rounding_function,
            rounding_precision=metric.rounding_precision,
            weighted_interval=metric.weighted_interval,
            expression=metric.expression,
            filters=[MetricFilterBody(entry.key, entry.values) for entry in metric.filters],
            created_at=iso_seconds(metric.created_at),
        )


class MetricReply(Struct):
    """The envelope of a metric."""

    billable_metric: MetricBody


class MetricsReply(Struct):
    """A page of metrics."""

    billable_metrics: list[MetricBody]
    meta: Meta
