"""Price lists become a catalogue: a metric for each kind of unit, and a plan that prices them.

    llm_input_tokens, llm_output_tokens, …    sums of `tokens`, filtered by `model` and by what else
    llm_pages, llm_web_searches, …            prices depend on (see `price_lists.metrics`)
    llm_list_prices                           a monthly plan in USD: a charge per metric, a filter
                                              per price, no default price

The charges have no default price on purpose: a model that is not listed has no price, and an
unknown model must not be a free one (`rating.UnknownPrice`, field `model`).

An import adds and changes prices; those that the list does not name are kept unless they are to be
pruned, and so is everything else somebody changed in the plan. Whatever an import changes is one
new version of the plan; a list that changes nothing publishes nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from invoicing import billable_metrics, catalogue_versions, plan_versions, plans
from invoicing.billable_metrics import BillableMetric, MetricChanges, MetricFilter
from invoicing.charges import PlanCharge
from invoicing.plans import Plan, PlanChanges
from invoicing.records import Connection
from wallet_service.catalog_changes import CURRENCY, CatalogConflict, Changes, compare
from wallet_service.price_lists import PriceList, Skipped, well_known
from wallet_service.price_lists.metrics import CORE, METRICS, MODEL

__all__ = [
    "PLAN_CODE",
    "CatalogConflict",
    "ImportReport",
    "ImportTerms",
    "import_bundled",
    "import_price_list",
    "steps",
]

PLAN_CODE: Final = "llm_list_prices"
_PLAN_NAME: Final = "LLM list prices"


class ImportTerms(Struct, frozen=True, kw_only=True):
    """How a list is to be imported."""

    plan_code: str = PLAN_CODE
    prune: bool = False
    """Take prices away that the list does not name."""
    effective_at: datetime | None = None
    """From when on the prices are in force; None: at once."""
    agrees: Callable[[Changes], bool] = lambda _changes: True
    """Says whether what would change is to be changed."""


_TERMS: Final = ImportTerms()


class ImportReport(Struct, frozen=True, kw_only=True):
    """What an import read, what it left out and why, and what it changed, or would have."""

    entries: int
    models: int
    prices_read: int
    prices_implied: int
    """How many follow from others (see `price_lists.implied`)."""
    prices_skipped: int
    free_models: tuple[str, ...]
    """Models whose every listed price is zero."""
    skipped: tuple[Skipped, ...]
    changes: Changes
    metrics_created: tuple[str, ...]
    plan_code: str
    plan_version: int | None
    """None: there is no such plan yet."""
    is_applied: bool
    is_new_version: bool
    effective_at: datetime | None
    is_default: bool


def steps(price_list: PriceList) -> int:
    """How often an import calls `on_step`: once a metric, and once for the plan."""
    return len(_metric_codes(price_list)) + 1


async def import_price_list(
    connection: Connection,
    organization_id: UUID,
    price_list: PriceList,
    *,
    terms: ImportTerms = _TERMS,
    now: datetime,
    on_step: Callable[[str], None] = lambda _step: None,
) -> ImportReport:
    """Bring metrics and plan to a price list; raises CatalogConflict, or invoicing's Invalid."""
    plan_code, effective_at = terms.plan_code, terms.effective_at
    await catalogue_versions.lock(connection, organization_id)
    before = await plans.find(connection, organization_id, plan_code, now=now)
    charges = await _charges(connection, before, effective_at, now=now)
    changes = compare(charges, price_list, prune=terms.prune)
    metrics = await _metrics(connection, organization_id, _metric_codes(price_list))
    plan = before
    is_applied = terms.agrees(changes)
    if is_applied:
        await _declare(connection, organization_id, price_list, metrics, plan_code, on_step, now)
        on_step(plan_code)
        plan = await _write_plan(
            connection, organization_id, changes, before, plan_code, effective_at, now=now
        )
    return ImportReport(
        entries=price_list.entries,
        models=len(price_list.models),
        prices_read=len(price_list.prices) - price_list.implied,
        prices_implied=price_list.implied,
        prices_skipped=sum(each.field is not None for each in price_list.skipped),
        free_models=price_list.free_models,
        skipped=price_list.skipped,
        changes=changes,
        metrics_created=tuple(code for code, metric in metrics.items() if metric is None),
        plan_code=plan_code,
        plan_version=plan.version if plan else None,
        is_applied=is_applied,
        is_new_version=is_applied and (before is None or changes.are_any),
        effective_at=effective_at,
        is_default=plan is not None and plan.is_default,
    )


async def import_bundled(
    connection: Connection, organization_id: UUID, *, now: datetime
) -> ImportReport | None:
    """Give a new organization the prices of well-known models; None if it has the plan already."""
    if await plans.find(connection, organization_id, PLAN_CODE, now=now) is not None:
        return None
    return await import_price_list(connection, organization_id, well_known(), now=now)


def _metric_codes(price_list: PriceList) -> list[str]:
    """The metrics that there have to be: those of the list, and the four that everyone has."""
    listed = price_list.metrics
    return [code for code in METRICS if listed and (code in listed or code in CORE)]


async def _charges(
    connection: Connection, plan: Plan | None, effective_at: datetime | None, *, now: datetime
) -> list[PlanCharge]:
    """The prices that there will be at that time, without the import."""
    if plan is None:
        return []
    line = await plan_versions.timeline(
        connection, plan.organization_id, plan.id, effective_at=effective_at, now=now
    )
    return line.prices.charges


async def _metrics(
    connection: Connection, organization_id: UUID, codes: list[str]
) -> dict[str, BillableMetric | None]:
    """Those of the metrics that there are; raises CatalogConflict for what counts otherwise."""
    found: dict[str, BillableMetric | None] = {}
    for code in codes:
        metric = await billable_metrics.find(connection, organization_id, code)
        field_name = METRICS[code].field_name
        if metric and (metric.aggregation_type, metric.field_name) != ("sum_agg", field_name):
            raise CatalogConflict(
                f"the metric {code} does not sum the property {field_name!r}: rename it first"
            )
        found[code] = metric
    return found


async def _declare(
    connection: Connection,
    organization_id: UUID,
    price_list: PriceList,
    metrics: dict[str, BillableMetric | None],
    plan_code: str,
    on_step: Callable[[str], None],
    now: datetime,
) -> None:
    """Have the metrics, with the list's values among theirs."""
    wanted = _wanted_filters(price_list)
    changed: dict[str, list[MetricFilter]] = {}
    for code, metric in metrics.items():
        on_step(code)
        filters = _with_values(metric.filters if metric else [], wanted[code])
        if metric is None:
            changes = MetricChanges(
                code=code,
                name=METRICS[code].name,
                aggregation_type="sum_agg",
                field_name=METRICS[code].field_name,
                filters=filters,
            )
            await billable_metrics.create(connection, organization_id, changes, now=now)
        elif filters != metric.filters:
            changed[code] = filters
    # The plan itself takes them over with its prices, in one version.
    await billable_metrics.set_filters(
        connection, organization_id, changed, but_plan=plan_code, now=now
    )


def _wanted_filters(price_list: PriceList) -> dict[str, dict[str, dict[str, None]]]:
    """By metric and key, the values that the list prices; without prices, all its models."""
    wanted: dict[str, dict[str, dict[str, None]]] = {
        code: {MODEL: {}} for code in _metric_codes(price_list)
    }
    for price in price_list.prices:
        keys = wanted[price.metric]
        keys[MODEL][price.model] = None
        for key, values in price.when:
            keys.setdefault(key, {}).update(dict.fromkeys(values))
    for keys in wanted.values():
        if not keys[MODEL]:
            keys[MODEL] = dict.fromkeys(price_list.models)
    return wanted


def _with_values(
    filters: list[MetricFilter], wanted: dict[str, dict[str, None]]
) -> list[MetricFilter]:
    """The filters, with these values declared as well."""
    merged = {each.key: dict.fromkeys(each.values) for each in filters}
    for key, values in wanted.items():
        merged.setdefault(key, {}).update(values)
    return [MetricFilter(key, list(values)) for key, values in merged.items()]


async def _write_plan(
    connection: Connection,
    organization_id: UUID,
    changes: Changes,
    before: Plan | None,
    plan_code: str,
    effective_at: datetime | None,
    *,
    now: datetime,
) -> Plan:
    """Make or change the plan where there is something to change; it is the default if none is."""
    has_default = await plans.find_default(connection, organization_id) is not None
    new = PlanChanges()
    if not has_default:
        new.is_default = True
    if before is None:
        new.code = plan_code
        new.name = _PLAN_NAME if plan_code == PLAN_CODE else plan_code
        new.interval = "monthly"
        new.amount_cents = 0
        new.amount_currency = CURRENCY
        new.effective_at = effective_at
        return await plans.create(connection, organization_id, new, changes.charges, now=now)
    if changes.are_any:
        new.effective_at = effective_at
        return await plans.update(
            connection, organization_id, plan_code, new, changes.charges, now=now
        )
    if not has_default:
        return await plans.update(connection, organization_id, plan_code, new, now=now)
    return before
