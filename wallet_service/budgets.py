"""Budgets: how much may be spent of what, by whom, in which time. Made, changed and deleted.

A resource of ours. What a budget is for (scope, asset, window) never changes, so that it is always
locked in the same way; another scope is another budget.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from invoicing import billable_metrics, catalogue_versions, customers, subscriptions
from invoicing.errors import NotFound as NotInCatalogue
from invoicing.pages import Page, Window
from invoicing.records import Connection, Record, from_json, load_queries, to_json
from ledger.ids import new_uuid
from wallet_service import api_keys, assets
from wallet_service.budget_scopes import BudgetScope, BudgetScopes
from wallet_service.budget_terms import (
    BudgetChanges,
    BudgetRequest,
    check_code,
    read_given,
    read_limit,
    read_name,
    read_thresholds,
    read_window,
)
from wallet_service.decision import Asset
from wallet_service.decision.budget_windows import kept_s
from wallet_service.decision.commands import AMOUNT_CODE
from wallet_service.errors import Invalid, NotFound
from wallet_service.replies import iso
from wallet_service.texts import read_uuid

__all__ = [
    "BudgetBody",
    "BudgetRow",
    "change",
    "create",
    "delete",
    "find_all",
    "find_row",
    "get",
    "load_scopes",
]

_queries: Final[Any] = load_queries(__file__)

_COUNT_MAX: Final = 100_000
_OF_ALL_MAX: Final = 200
_OF_A_CUSTOMER_MAX: Final = 50


class BudgetBody(Struct, kw_only=True):
    """A budget: how much may be spent of what, by whom, in which time."""

    id: UUID
    code: str
    name: str
    asset_code: str
    limit: str
    mode: str
    external_customer_id: str | None
    external_subscription_id: str | None
    billable_metric_code: str | None
    api_key_id: UUID | None
    filters: dict[str, list[str]]
    per: str | None
    window: dict[str, Any] | None
    alert_thresholds: list[dict[str, int]]
    created_at: str
    updated_at: str


class BudgetRow(Record, frozen=True, kw_only=True):
    """A budget as stored."""

    json_columns = ("filters", "alert_thresholds")

    organization_id: UUID
    id: UUID
    code: str
    name: str
    asset_code: str
    limit_minor: int
    mode: str
    customer_id: UUID | None
    external_customer_id: str | None
    external_subscription_id: str | None
    billable_metric_code: str | None
    api_key_id: UUID | None
    filters: dict[str, list[str]]
    per: str | None
    time_window: str | None
    alert_thresholds: list[dict[str, int]]
    created_at: datetime
    updated_at: datetime


async def load_scopes(connection: Connection, organization_id: UUID) -> BudgetScopes:
    """What usage of an organization may be counted in."""
    rows = _queries.list_scopes(connection, organization_id=organization_id)
    return BudgetScopes(
        [
            BudgetScope(
                id=row["id"],
                asset_code=row["asset_code"],
                customer_id=row["customer_id"],
                external_subscription_id=row["external_subscription_id"],
                billable_metric_code=row["billable_metric_code"],
                api_key_id=row["api_key_id"],
                filters={
                    name: frozenset(values) for name, values in from_json(row["filters"]).items()
                },
                per=row["per"],
            )
            async for row in rows
        ]
    )


async def create(
    connection: Connection, organization_id: UUID, request: BudgetRequest, *, now: datetime
) -> BudgetBody:
    """Make a budget; what is used from now on counts. Raises Invalid."""
    await catalogue_versions.bump(connection, organization_id)
    asset = await _asset(connection, organization_id, request.asset_code, now=now)
    window = read_window(request.window)
    scope = await _scope(connection, organization_id, request)
    await _check_room(connection, organization_id, scope["customer_id"])
    row = await _queries.insert_budget(
        connection,
        organization_id=organization_id,
        id=new_uuid(now),
        code=check_code(request.code),
        name=read_name(request.name) or request.code,
        asset_code=asset.code,
        limit_minor=read_limit(request.limit, asset),
        mode=request.mode,
        **scope,
        filters=to_json({name: sorted(set(values)) for name, values in request.filters.items()}),
        time_window=None if window is None else to_json(window),
        kept_s=kept_s(window),
        alert_thresholds=to_json(read_thresholds(request.alert_thresholds)),
        created_at=now,
        updated_at=now,
    )
    if row is None:
        raise Invalid("code", "value_already_exist")
    return _body(BudgetRow.of(row), asset)


async def get(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> BudgetBody:
    """A budget by its code. Raises NotFound."""
    return _body(*await find_row(connection, organization_id, code, now=now))


async def find_all(
    connection: Connection,
    organization_id: UUID,
    *,
    external_customer_id: str | None,
    window: Window,
    now: datetime,
) -> Page[BudgetBody]:
    """A page of budgets, newest first; of one customer those that name it."""
    wanted = {"organization_id": organization_id, "external_customer_id": external_customer_id}
    rows = [
        BudgetRow.of(row)
        async for row in _queries.list_budgets(
            connection, **wanted, limit=window.size, offset=window.offset
        )
    ]
    count = await _queries.count_budgets(connection, **wanted, count_max=_COUNT_MAX)
    bodies = [
        _body(row, await _asset(connection, organization_id, row.asset_code, now=now))
        for row in rows
    ]
    return Page(bodies, count)


async def change(
    connection: Connection,
    organization_id: UUID,
    code: str,
    changes: BudgetChanges,
    *,
    now: datetime,
) -> BudgetBody:
    """Change what may change; decisions go by it at once. Raises NotFound, Invalid."""
    _, asset = await find_row(connection, organization_id, code, now=now)
    given = changes.alert_thresholds
    row = await _queries.change_budget(
        connection,
        organization_id=organization_id,
        code=code,
        name=read_name(changes.name),
        limit_minor=None if changes.limit is UNSET else read_limit(changes.limit, asset),
        mode=None if changes.mode is UNSET else changes.mode,
        alert_thresholds=None if given is UNSET else to_json(read_thresholds(given)),
        now=now,
    )
    if row is None:
        raise NotFound("budget")
    return _body(BudgetRow.of(row), asset)


async def delete(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> BudgetBody:
    """End a budget: it limits and counts nothing any more. Raises NotFound."""
    await catalogue_versions.bump(connection, organization_id)
    row = await _queries.delete_budget(
        connection, organization_id=organization_id, code=code, now=now
    )
    if row is None:
        raise NotFound("budget")
    budget = BudgetRow.of(row)
    return _body(budget, await _asset(connection, organization_id, budget.asset_code, now=now))


async def find_row(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> tuple[BudgetRow, Asset]:
    """A budget as stored, and what it is counted in. Raises NotFound."""
    row = await _queries.find_budget(connection, organization_id=organization_id, code=code)
    if row is None:
        raise NotFound("budget")
    budget = BudgetRow.of(row)
    return budget, await _asset(connection, organization_id, budget.asset_code, now=now)


# -- parts -----------------------------------------------------------------------------------------


async def _asset(
    connection: Connection, organization_id: UUID, code: str, *, now: datetime
) -> Asset:
    try:
        return (await assets.find(connection, organization_id, code, now=now)).asset()
    except NotFound:
        raise Invalid("asset_code", "asset_not_found") from None


async def _scope(
    connection: Connection, organization_id: UUID, request: BudgetRequest
) -> dict[str, Any]:
    """Whom and what a budget names; each must exist, so that no typing error limits nothing."""
    scope: dict[str, Any] = {
        "customer_id": None,
        "external_customer_id": read_given("external_customer_id", request.external_customer_id),
        "external_subscription_id": read_given(
            "external_subscription_id", request.external_subscription_id
        ),
        "billable_metric_code": read_given("billable_metric_code", request.billable_metric_code),
        "api_key_id": _key_id(request.api_key_id),
        "per": read_given("per", request.per),
    }
    for field, value in scope.items():
        if value is None or field == "per":
            continue
        try:
            if field == "external_customer_id":
                customer = await customers.get(connection, organization_id, value)
                scope["customer_id"] = customer.id
            elif field == "external_subscription_id":
                await subscriptions.get(
                    connection, organization_id, value, statuses=("active", "pending")
                )
            elif field == "api_key_id":
                await api_keys.get(connection, organization_id, value)
            elif value != AMOUNT_CODE:
                await billable_metrics.get(connection, organization_id, value)
        except NotInCatalogue as error:
            raise Invalid(field, error.code) from None
    return scope


async def _check_room(
    connection: Connection, organization_id: UUID, customer_id: UUID | None
) -> None:
    """Each decision asks all budgets that may apply, so there are only so many of them."""
    count = await _queries.count_scopes(
        connection, organization_id=organization_id, customer_id=customer_id
    )
    most = _OF_ALL_MAX if customer_id is None else _OF_A_CUSTOMER_MAX
    if count >= most:
        field = "code" if customer_id is None else "external_customer_id"
        raise Invalid(field, "budget_limit_reached", f"at most {most}; each may be `per` something")


def _key_id(value: str | UnsetType) -> UUID | None:
    text = read_given("api_key_id", value)
    try:
        return None if text is None else read_uuid(text)
    except ValueError:
        raise Invalid("api_key_id", "api_key_not_found") from None


def _body(budget: BudgetRow, asset: Asset) -> BudgetBody:
    return BudgetBody(
        id=budget.id,
        code=budget.code,
        name=budget.name,
        asset_code=budget.asset_code,
        limit=asset.format(budget.limit_minor),
        mode=budget.mode,
        external_customer_id=budget.external_customer_id,
        external_subscription_id=budget.external_subscription_id,
        billable_metric_code=budget.billable_metric_code,
        api_key_id=budget.api_key_id,
        filters=budget.filters,
        per=budget.per,
        window=None if budget.time_window is None else from_json(budget.time_window),
        alert_thresholds=budget.alert_thresholds,
        created_at=iso(budget.created_at),
        updated_at=iso(budget.updated_at),
    )
