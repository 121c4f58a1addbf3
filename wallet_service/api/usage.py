"""`/customers/{external_id}/…_usage`: what was used, in the running period and in those before."""

import json
from typing import Annotated, Any, Final, TypeAlias, cast
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Struct

from invoicing.usage import Wanted
from wallet_service import services as wiring
from wallet_service.api.dependencies import Now, Services, Tenant, Window
from wallet_service.api.errors import field_error
from wallet_service.api.pagination import meta
from wallet_service.api.schemas.formats import Code, ExternalId, Text, Word
from wallet_service.api.schemas.usage import (
    CurrentUsageReply,
    CustomerUsageBody,
    PastUsageReply,
    ProjectedUsageReply,
    usage_body,
)
from wallet_service.texts import read_uuid
from wallet_service.usage_reports import UsageReport

_Request: TypeAlias = Request[Any, Any, Any]
_Group: TypeAlias = Annotated[
    Text | None,
    QueryParameter(description="A JSON object of pricing group keys; or `group[key]=value`."),
]
_Presentation: TypeAlias = Annotated[
    Text | None, QueryParameter(description="A presentation group key, or a JSON list of some.")
]
_Flag: TypeAlias = Annotated[Word | None, QueryParameter(description="true or false.")]
_Count: TypeAlias = Annotated[
    int | None, QueryParameter(ge=1, le=10_000, description="How many periods, the last first.")
]

_KEYS_MAX: Final = 20


class _Charge(Struct, frozen=True, kw_only=True):
    """Which charges are asked for."""

    id: UUID | None
    code: str | None
    billable_metric_code: str | None


class _Groups(Struct, frozen=True):
    """Which groups are asked for, and how they are to be broken down."""

    values: dict[str, str]
    presentation_keys: tuple[str, ...] | None


def provide_charge(
    charge_id: FromQuery[Word | None] = None,
    charge_code: FromQuery[Code | None] = None,
    billable_metric_code: FromQuery[Code | None] = None,
    filter_by_charge_id: FromQuery[Word | None] = None,
    filter_by_charge_code: FromQuery[Code | None] = None,
) -> _Charge:
    """Dependency: which charges are wanted; the names with `filter_by` are Lago's older ones."""
    return _Charge(
        id=_id(charge_id, field="charge_id")
        or _id(filter_by_charge_id, field="filter_by_charge_id"),
        code=charge_code or filter_by_charge_code,
        billable_metric_code=billable_metric_code,
    )


def provide_groups(
    request: _Request,
    filter_by_group: _Group = None,
    filter_by_presentation: _Presentation = None,
) -> _Groups:
    """Dependency: which groups are wanted."""
    return _Groups(_group(request, filter_by_group), _presentation(filter_by_presentation))


class CustomerUsage(Controller):
    """What a customer has used of a subscription, and what it comes to."""

    path = "/customers"
    tags = ("usage",)
    opt = {"resource": "usage"}  # noqa: RUF012

    @get(
        "/{external_id:str}/current_usage",
        summary="Usage of the running period",
        dependencies={
            "charge": Provide(provide_charge, sync_to_thread=False),
            "groups": Provide(provide_groups, sync_to_thread=False),
        },
    )
    async def current(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        charge: NamedDependency[_Charge],
        groups: NamedDependency[_Groups],
        external_subscription_id: FromQuery[ExternalId | None] = None,
        full_usage: _Flag = None,
    ) -> CurrentUsageReply:
        """All charges of the plan with what was used of them so far, and its price.

        `full_usage` counts from the start of the subscription, as if it were one period.
        """
        report = await services.usage_reports.current(
            tenant.organization_id,
            external_id,
            external_subscription_id,
            Wanted(
                charge_id=charge.id,
                charge_code=charge.code,
                billable_metric_code=charge.billable_metric_code,
                group=groups.values,
                presentation_keys=groups.presentation_keys,
            ),
            since_start=_flag(full_usage, field="full_usage"),
            now=now,
        )
        return CurrentUsageReply(await shown_usage(report, services, tenant))

    @get("/{external_id:str}/projected_usage", summary="Usage of the running period at its end")
    async def projected(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        now: Now,
        external_subscription_id: FromQuery[ExternalId | None] = None,
    ) -> ProjectedUsageReply:
        """The same, with what it will come to if it goes on like this."""
        report = await services.usage_reports.current(
            tenant.organization_id, external_id, external_subscription_id, Wanted(), now=now
        )
        return ProjectedUsageReply(await shown_usage(report, services, tenant, projects=True))

    @get("/{external_id:str}/past_usage", summary="Usage of the periods that are over")
    async def past(
        self,
        external_id: FromPath[str],
        tenant: Tenant,
        services: Services,
        window: Window,
        now: Now,
        external_subscription_id: FromQuery[ExternalId | None] = None,
        billable_metric_code: FromQuery[Code | None] = None,
        periods_count: _Count = None,
    ) -> PastUsageReply:
        """A period an entry, the last one first."""
        page = await services.usage_reports.past(
            tenant.organization_id,
            external_id,
            external_subscription_id,
            Wanted(billable_metric_code=billable_metric_code),
            periods_count=periods_count,
            window=window,
            now=now,
        )
        bodies = [await shown_usage(report, services, tenant) for report in page.items]
        return PastUsageReply(bodies, meta(page, window))


async def shown_usage(
    report: UsageReport, services: wiring.Services, tenant: Tenant, *, projects: bool = False
) -> CustomerUsageBody:
    """A report as callers see it."""
    scales: dict[str, int] = {}
    for code in {charge.charge.rated.asset_code for charge in report.usage.charges}:
        asset = await services.rates.asset(tenant.organization_id, code, now=report.now)
        scales[code] = asset.scale
    return usage_body(report, scales, projects=projects)


def _flag(given: str | None, *, field: str) -> bool:
    if given not in {None, "", "true", "false"}:
        raise field_error(field, "value_is_invalid", "true or false")
    return given == "true"


def _id(given: str | None, *, field: str) -> UUID | None:
    if not given:
        return None
    try:
        return read_uuid(given)
    except ValueError:
        raise field_error(field, "value_is_invalid") from None


def _group(request: _Request, given: str | None) -> dict[str, str]:
    """The values of pricing group keys that are asked for: `group[key]=value`, or a JSON object."""
    wanted = {
        name.removeprefix("group[").removesuffix("]"): value
        for name, value in request.query_params.items()
        if name.startswith("group[") and name.endswith("]")
    }
    if given:
        read = _json(given, field="filter_by_group")
        if not isinstance(read, dict):
            raise field_error("filter_by_group", "value_is_invalid", "an object of texts")
        for key, value in cast("dict[str, Any]", read).items():
            if not isinstance(value, str):
                raise field_error("filter_by_group", "value_is_invalid", "an object of texts")
            wanted[key] = value
    if len(wanted) > _KEYS_MAX:
        raise field_error("group", "invalid_count")
    return wanted


def _presentation(given: str | None) -> tuple[str, ...] | None:
    """Which presentation group keys are asked for: one, or a JSON list."""
    if not given:
        return None
    if not given.startswith("["):
        return (given,)
    read = _json(given, field="filter_by_presentation")
    keys = cast("list[Any]", read) if isinstance(read, list) else []
    named = tuple(key for key in keys if isinstance(key, str))
    if not named or len(named) != len(keys) or len(named) > _KEYS_MAX:
        raise field_error("filter_by_presentation", "value_is_invalid", "a list of texts")
    return named


def _json(text: str, *, field: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise field_error(field, "value_is_invalid", "JSON") from None
