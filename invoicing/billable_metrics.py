"""Billable metrics: how events become a number. A plan's charges put a price on that number."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field, structs

from invoicing import catalogue_versions, republishing
from invoicing.charges import PricedMetric
from invoicing.errors import Invalid, NotFound
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, apply, load_queries
from ledger.ids import new_uuid
from rating.aggregations import AGGREGATIONS
from rating.errors import InvalidExpression
from rating.expressions import Expression
from rating.rounding import ROUNDING_FUNCTIONS

_queries: Final = load_queries(__file__)

AGGREGATION_TYPES: Final = frozenset(AGGREGATIONS)
_RECURRING_TYPES: Final = frozenset({"sum_agg", "unique_count_agg", "weighted_sum_agg"})
_WEIGHTED_INTERVAL: Final = "seconds"
_FILTER_KEYS_MAX: Final = 20
_FILTER_VALUES_MAX: Final = 20_000
_PRECISION_MAX: Final = 20


class MetricFilter(Struct, frozen=True):
    """A property of the events and the values it may have, which charges may price differently."""

    key: str
    values: list[str]


class BillableMetric(Record, frozen=True, kw_only=True):
    """A metric as stored."""

    json_columns: ClassVar[tuple[str, ...]] = ("filters",)

    organization_id: UUID
    id: UUID
    code: str
    name: str
    description: str | None = None
    aggregation_type: str
    field_name: str | None = None
    recurring: bool = False
    rounding_function: str | None = None
    rounding_precision: int | None = None
    weighted_interval: str | None = None
    expression: str | None = None
    filters: list[MetricFilter] = field(default_factory=list[MetricFilter])
    created_at: datetime
    updated_at: datetime


class MetricChanges(Struct, kw_only=True):
    """What to set: UNSET leaves a field as it is, None clears it."""

    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    aggregation_type: str | UnsetType = UNSET
    field_name: str | UnsetType | None = UNSET
    recurring: bool | UnsetType = UNSET
    rounding_function: str | UnsetType | None = UNSET
    rounding_precision: int | UnsetType | None = UNSET
    weighted_interval: str | UnsetType | None = UNSET
    expression: str | UnsetType | None = UNSET
    filters: list[MetricFilter] | UnsetType = UNSET


async def create(
    connection: Connection, organization_id: UUID, changes: MetricChanges, *, now: datetime
) -> BillableMetric:
    """Add a metric; raises Invalid."""
    await catalogue_versions.bump(connection, organization_id)
    blank = BillableMetric(
        organization_id=organization_id,
        id=new_uuid(now),
        code="",
        name="",
        aggregation_type="",
        created_at=now,
        updated_at=now,
    )
    metric = _checked(apply(changes, blank))
    created = await _queries.insert_metric(connection, **metric.columns())
    if created is None:
        raise Invalid.field("code", "value_already_exist")
    return BillableMetric.of(created)


async def update(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: MetricChanges,
    *,
    now: datetime,
) -> BillableMetric:
    """Change a metric, and publish a new version of every plan that prices it.

    Raises NotFound, or Invalid. What units are counted by cannot change under subscriptions: their
    running totals could not go on.
    """
    await catalogue_versions.bump(connection, organization_id)
    row = await _queries.lock_metric(connection, organization_id=organization_id, code=code)
    if row is None:
        raise NotFound("billable_metric")
    before = BillableMetric.of(row)
    wanted = _checked(apply(changes, before))
    if wanted.code != before.code and await find(connection, organization_id, wanted.code):
        raise Invalid.field("code", "value_already_exist")
    counted_anew = [
        name
        for name in ("aggregation_type", "recurring")
        if getattr(wanted, name) != getattr(before, name)
    ]
    if counted_anew and await republishing.are_subscribed(
        connection, organization_id, before.id, now=now
    ):
        message = "subscriptions are charged by this metric: make another one"
        raise Invalid({name: ["used_by_subscriptions"] for name in counted_anew}, message)
    wanted = structs.replace(wanted, updated_at=now)
    metric = BillableMetric.of(await _queries.update_metric(connection, **wanted.columns()))
    await republishing.republish_with_metrics(
        connection, organization_id, [_priced(metric)], now=now
    )
    return metric


async def set_filters(
    connection: Connection,
    organization_id: UUID,
    filters: Mapping[str, list[MetricFilter]],
    *,
    but_plan: str,
    now: datetime,
) -> None:
    """Change what metrics declare, by their codes, in one new version of each plan that they price.

    Not of `but_plan`: its caller changes its prices as well. Raises NotFound or Invalid.
    """
    if not filters:
        return
    await catalogue_versions.bump(connection, organization_id)
    changed: list[PricedMetric] = []
    for code, values in filters.items():
        row = await _queries.lock_metric(connection, organization_id=organization_id, code=code)
        if row is None:
            raise NotFound("billable_metric")
        wanted = _checked(structs.replace(BillableMetric.of(row), filters=values, updated_at=now))
        stored = await _queries.update_metric(connection, **wanted.columns())
        changed.append(_priced(BillableMetric.of(stored)))
    await republishing.republish_with_metrics(
        connection, organization_id, changed, but_plan=but_plan, now=now
    )


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> BillableMetric:
    """Remove a metric, and its charges from every plan; what was rated with it stays."""
    await catalogue_versions.bump(connection, organization_id)
    row = await _queries.lock_metric(connection, organization_id=organization_id, code=code)
    if row is None:
        raise NotFound("billable_metric")
    metric = BillableMetric.of(row)
    await _queries.delete_metric(connection, organization_id=organization_id, id=metric.id, now=now)
    await republishing.republish_without_metric(connection, organization_id, metric.id, now=now)
    return metric


async def find(connection: Connection, organization_id: UUID, code: str) -> BillableMetric | None:
    """The metric with this code, unless deleted."""
    row = await _queries.find_metric(connection, organization_id=organization_id, code=code)
    return None if row is None else BillableMetric.of(row)


async def get(connection: Connection, organization_id: UUID, code: str) -> BillableMetric:
    """As `find`, or raise NotFound."""
    metric = await find(connection, organization_id, code)
    if metric is None:
        raise NotFound("billable_metric")
    return metric


async def find_all(
    connection: Connection, organization_id: UUID, *, window: Window
) -> Page[BillableMetric]:
    """A page of metrics, newest first."""
    rows = _queries.list_metrics(
        connection, organization_id=organization_id, limit=window.size, offset=window.offset
    )
    items = [BillableMetric.of(row) async for row in rows]
    return Page(items, await _queries.count_metrics(connection, organization_id=organization_id))


def _priced(metric: BillableMetric) -> PricedMetric:
    return PricedMetric(
        id=metric.id,
        code=metric.code,
        aggregation_type=metric.aggregation_type,
        field_name=metric.field_name,
        recurring=metric.recurring,
        rounding_function=metric.rounding_function,
        rounding_precision=metric.rounding_precision,
        expression=metric.expression,
        filters=[{"key": entry.key, "values": entry.values} for entry in metric.filters],
    )


def _checked(metric: BillableMetric) -> BillableMetric:
    """The metric in its final form; raises Invalid with all that is wrong."""
    metric = _settled(metric)
    kind = metric.aggregation_type
    is_wrong = {
        "name": (not metric.name.strip(), "value_is_mandatory"),
        "code": (not metric.code.strip(), "value_is_mandatory"),
        "aggregation_type": (
            kind not in AGGREGATION_TYPES,
            "value_is_invalid" if kind.strip() else "value_is_mandatory",
        ),
        "field_name": (
            kind in AGGREGATION_TYPES - {"count_agg"} and not metric.field_name,
            "value_is_mandatory",
        ),
        "recurring": (
            metric.recurring and kind in AGGREGATION_TYPES - _RECURRING_TYPES,
            "not_compatible_with_aggregation_type",
        ),
        "rounding_function": (
            metric.rounding_function not in {None, *ROUNDING_FUNCTIONS},
            "value_is_invalid",
        ),
        "rounding_precision": (
            abs(metric.rounding_precision or 0) > _PRECISION_MAX,
            "value_is_out_of_range",
        ),
        "weighted_interval": (
            metric.weighted_interval not in {None, _WEIGHTED_INTERVAL},
            "value_is_invalid",
        ),
        "filters": (not _are_filters(metric.filters), "value_is_invalid"),
    }
    problems = {name: [code] for name, (wrong, code) in is_wrong.items() if wrong}
    message = ""
    if metric.expression is not None:
        try:
            Expression(metric.expression)
        except InvalidExpression as error:
            problems["expression"] = ["invalid_expression"]
            message = str(error)
    if problems:
        raise Invalid(problems, message)
    return metric


def _settled(metric: BillableMetric) -> BillableMetric:
    """The metric without what its aggregation has no use for, and with what is the default."""
    counts = metric.aggregation_type == "count_agg"
    weighs = metric.aggregation_type == "weighted_sum_agg"
    return structs.replace(
        metric,
        field_name=None if counts else metric.field_name or None,
        expression=None if counts else (metric.expression or "").strip() or None,
        rounding_function=metric.rounding_function or None,
        weighted_interval=metric.weighted_interval or (_WEIGHTED_INTERVAL if weighs else None),
    )


def _are_filters(filters: list[MetricFilter]) -> bool:
    """Whether every key stands once, with values that stand once."""
    keys = [entry.key for entry in filters]
    return (
        len(keys) <= _FILTER_KEYS_MAX
        and len(set(keys)) == len(keys)
        and all(
            entry.key.strip()
            and entry.values
            and len(entry.values) <= _FILTER_VALUES_MAX
            and all(entry.values)
            and len(set(entry.values)) == len(entry.values)
            for entry in filters
        )
    )
