"""Price lists become a catalogue: four metrics of tokens, and a plan with a price for each model.

    llm_input_tokens, llm_output_tokens,          sum of `tokens`, filtered by `model`
    llm_cache_read_tokens, llm_cache_write_tokens
    llm_list_prices                               a monthly plan in USD: a charge per metric,
                                                  a filter per model, no default price

The charges have no default price on purpose: a model that is not listed has no price, and an
unknown model must not be a free one (`rating.UnknownPrice`, field `model`).

An import adds and changes prices; those of models that the list does not name are kept, as is
everything else somebody changed in the plan. Changed prices are a new version of the plan; a list
that changes nothing publishes nothing.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import billable_metrics, plans
from invoicing.billable_metrics import BillableMetric, MetricChanges, MetricFilter
from invoicing.charge_changes import ChargeChanges
from invoicing.charge_filters import FilterChanges
from invoicing.charges import PlanCharge
from invoicing.plans import Plan, PlanChanges
from invoicing.records import Connection
from wallet_service.price_lists import (
    PRICE_FIELDS,
    InvalidPriceList,
    PriceList,
    Skipped,
    read_price_list,
    well_known,
)

__all__ = [
    "PLAN_CODE",
    "STEPS",
    "CatalogConflict",
    "ImportReport",
    "InvalidPriceList",
    "PriceList",
    "import_bundled",
    "import_price_list",
    "read_price_list",
]

PLAN_CODE: Final = "llm_list_prices"
FILTER_KEY: Final = "model"
FIELD_NAME: Final = "tokens"

STEPS: Final = len(PRICE_FIELDS) + 1
"""How often an import calls `on_step`: once a metric, and once for the plan."""

_NAMES: Final = {
    "llm_input_tokens": "LLM input tokens",
    "llm_output_tokens": "LLM output tokens",
    "llm_cache_read_tokens": "LLM tokens read from cache",
    "llm_cache_write_tokens": "LLM tokens written to cache",
}


class CatalogConflict(Exception):
    """The organization has a metric of this code that counts something else."""


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import read, what it left out and why, and what it changed."""

    entries: int
    models: int
    free_models: tuple[str, ...]
    """Models whose every listed price is zero."""
    models_with_tiers: tuple[str, ...]
    """Models with dearer prices for long contexts, which are not imported."""
    skipped: tuple[Skipped, ...]
    prices_added: int
    prices_changed: int
    prices_unchanged: int
    prices_kept: int
    """Prices in the plan that the list does not name."""
    metrics_created: tuple[str, ...]
    plan_version: int
    is_new_version: bool
    is_default: bool


class _Counts:
    """Tallies of one import."""

    def __init__(self) -> None:
        self.added = self.changed = self.unchanged = self.kept = 0

    @property
    def are_changes(self) -> bool:
        return bool(self.added or self.changed)


async def import_price_list(
    connection: Connection,
    organization_id: UUID,
    price_list: PriceList,
    *,
    now: datetime,
    on_step: Callable[[str], None] = lambda _step: None,
) -> ImportReport:
    """Bring metrics and plan to a price list; raises CatalogConflict, or invoicing's Invalid."""
    before = await plans.find(connection, organization_id, PLAN_CODE, now=now)
    created: list[str] = []
    names = [model.model for model in price_list.models]
    for code in PRICE_FIELDS if names else ():
        on_step(code)
        if await _declare(connection, organization_id, code, names, now=now):
            created.append(code)
    on_step(PLAN_CODE)
    counts = _Counts()
    wanted = _merge(before.charges if before else [], price_list, counts)
    plan = await _write_plan(
        connection, organization_id, wanted, counts, is_new=before is None, now=now
    )
    return ImportReport(
        entries=price_list.entries,
        models=len(names),
        free_models=tuple(model.model for model in price_list.models if model.is_free),
        models_with_tiers=tuple(model.model for model in price_list.models if model.has_tiers),
        skipped=price_list.skipped,
        prices_added=counts.added,
        prices_changed=counts.changed,
        prices_unchanged=counts.unchanged,
        prices_kept=counts.kept,
        metrics_created=tuple(created),
        plan_version=plan.version,
        is_new_version=before is None or plan.version != before.version,
        is_default=plan.is_default,
    )


async def import_bundled(
    connection: Connection, organization_id: UUID, *, now: datetime
) -> ImportReport | None:
    """Give a new organization the prices of well-known models; None if it has the plan already."""
    if await plans.find(connection, organization_id, PLAN_CODE, now=now) is not None:
        return None
    return await import_price_list(connection, organization_id, well_known(), now=now)


async def _declare(
    connection: Connection, organization_id: UUID, code: str, names: list[str], *, now: datetime
) -> bool:
    """Have the metric, with these models among its values; True if it had to be made."""
    metric = await billable_metrics.find(connection, organization_id, code)
    if metric is None:
        changes = MetricChanges(
            code=code,
            name=_NAMES[code],
            aggregation_type="sum_agg",
            field_name=FIELD_NAME,
            filters=[MetricFilter(FILTER_KEY, names)],
        )
        await billable_metrics.create(connection, organization_id, changes, now=now)
        return True
    if (metric.aggregation_type, metric.field_name) != ("sum_agg", FIELD_NAME):
        raise CatalogConflict(
            f"the metric {code} does not sum the property {FIELD_NAME!r}: rename it first"
        )
    filters = _with_values(metric, names)
    if filters != metric.filters:
        changes = MetricChanges(filters=filters)
        await billable_metrics.update(connection, organization_id, code, changes, now=now)
    return False


def _with_values(metric: BillableMetric, names: list[str]) -> list[MetricFilter]:
    """The metric's filters, with these models declared as well."""
    others = [each for each in metric.filters if each.key != FILTER_KEY]
    declared = [value for each in metric.filters if each.key == FILTER_KEY for value in each.values]
    known = set(declared)
    new = [name for name in names if name not in known]
    if not new:
        return metric.filters
    return [*others, MetricFilter(FILTER_KEY, [*declared, *new])]


def _merge(
    charges: list[PlanCharge], price_list: PriceList, counts: _Counts
) -> list[ChargeChanges]:
    """The plan's charges after the import: ours with the list's prices, others as they are."""
    wanted: list[ChargeChanges] = []
    missing = dict.fromkeys(PRICE_FIELDS)
    for charge in charges:
        changes = ChargeChanges(id=charge.id)
        if charge.code in PRICE_FIELDS:
            del missing[charge.code]
            changes.filters = _merge_filters(charge, charge.code, price_list, counts)
        wanted.append(changes)
    for code in missing:
        filters = _merge_filters(None, code, price_list, counts)
        if filters:
            new = ChargeChanges(
                code=code,
                billable_metric_code=code,
                charge_model="standard",
                invoice_display_name=_NAMES[code],
                filters=filters,
            )
            wanted.append(new)
    return wanted


def _merge_filters(
    charge: PlanCharge | None, code: str, price_list: PriceList, counts: _Counts
) -> list[FilterChanges]:
    """A filter per model: those there were, at the list's prices, then the new ones."""
    listed = {
        model.model: model.prices[code] for model in price_list.models if code in model.prices
    }
    filters: list[FilterChanges] = []
    for before in charge.filters if charge else ():
        properties = before.properties
        names = before.values.get(FILTER_KEY, [])
        if len(before.values) == 1 and len(names) == 1 and names[0] in listed:
            price = listed.pop(names[0])
            if Decimal(properties["amount"]) == price:
                counts.unchanged += 1
            else:
                counts.changed += 1
                properties = _properties(price)
        else:
            counts.kept += 1
        filters.append(
            FilterChanges(
                values=before.values,
                properties=properties,
                invoice_display_name=before.invoice_display_name,
            )
        )
    counts.added += len(listed)
    filters += [
        FilterChanges(values={FILTER_KEY: [name]}, properties=_properties(price))
        for name, price in listed.items()
    ]
    return filters


def _properties(price: Decimal) -> dict[str, str]:
    return {"amount": format(price, "f")}


async def _write_plan(
    connection: Connection,
    organization_id: UUID,
    wanted: list[ChargeChanges],
    counts: _Counts,
    *,
    is_new: bool,
    now: datetime,
) -> Plan:
    """Make or change the plan where there is something to change; it is the default if none is."""
    changes = PlanChanges()
    has_default = await plans.find_default(connection, organization_id) is not None
    if not has_default:
        changes.is_default = True
    if is_new:
        changes.code = PLAN_CODE
        changes.name = "LLM list prices"
        changes.interval = "monthly"
        changes.amount_cents = 0
        changes.amount_currency = "USD"
        return await plans.create(connection, organization_id, changes, wanted, now=now)
    if counts.are_changes:
        return await plans.update(connection, organization_id, PLAN_CODE, changes, wanted, now=now)
    if not has_default:
        return await plans.update(connection, organization_id, PLAN_CODE, changes, now=now)
    return await plans.get(connection, organization_id, PLAN_CODE, now=now)
