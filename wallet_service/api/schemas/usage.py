"""Usage on the wire, in Lago's shape, with the exact amounts beside the rounded ones."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import UUID

from msgspec import Struct

from invoicing.currencies import CURRENCIES
from invoicing.periods import day_of
from invoicing.records import from_json
from invoicing.usage import ChargeUsage
from invoicing.usage_pricing import Fee
from invoicing.usage_projection import Projection, project
from ledger import money
from rating.charge_models import name_of
from rating.charges import Charge
from rating.exact import EXACT, ZERO
from wallet_service.api.pagination import Meta
from wallet_service.api.schemas.formats import iso_seconds
from wallet_service.replies import decimal_text
from wallet_service.usage_reports import MetricName, UsageReport


class UsageMetric(Struct, kw_only=True):
    """What measures the usage."""

    lago_id: UUID
    name: str
    code: str
    aggregation_type: str


class UsageCharge(Struct, kw_only=True):
    """What prices the usage."""

    lago_id: UUID
    code: str
    charge_model: str
    invoice_display_name: str | None


class PricingUnitDetails(Struct, kw_only=True):
    """The amount in the pricing unit that the charge is in."""

    amount_cents: int
    short_name: str
    conversion_rate: str


class PresentationBreakdown(Struct, kw_only=True):
    """Units by the values of presentation group keys."""

    presentation_by: dict[str, str]
    units: str


class FilterUsage(Struct, kw_only=True, omit_defaults=True):
    """The usage that one filter has taken; without values, what no filter has taken."""

    units: str
    total_aggregated_units: str
    events_count: int
    amount_cents: int
    amount: str
    debited_amount: str
    true_up_amount: str
    invoice_display_name: str | None
    values: dict[str, list[str]]
    pricing_unit_details: PricingUnitDetails | None
    presentation_breakdowns: list[PresentationBreakdown]
    projected_units: str | None = None
    projected_amount_cents: int | None = None
    projected_amount: str | None = None


class GroupUsage(Struct, kw_only=True, omit_defaults=True):
    """The usage of one group: one tuple of values of the pricing group keys."""

    units: str
    total_aggregated_units: str
    events_count: int
    amount_cents: int
    amount: str
    debited_amount: str
    true_up_amount: str
    grouped_by: dict[str, str | None]
    filters: list[FilterUsage]
    pricing_unit_details: PricingUnitDetails | None
    presentation_breakdowns: list[PresentationBreakdown]
    projected_units: str | None = None
    projected_amount_cents: int | None = None
    projected_amount: str | None = None


class ChargeUsageBody(Struct, kw_only=True, omit_defaults=True):
    """The usage of one charge in one asset. `amount_cents` is 0 for what is no money."""

    units: str
    total_aggregated_units: str
    events_count: int
    amount_cents: int
    amount_currency: str
    asset_code: str
    amount: str
    debited_amount: str
    true_up_amount: str
    charge: UsageCharge
    billable_metric: UsageMetric
    filters: list[FilterUsage]
    grouped_usage: list[GroupUsage]
    pricing_unit_details: PricingUnitDetails | None
    presentation_breakdowns: list[PresentationBreakdown]
    projected_units: str | None = None
    projected_amount_cents: int | None = None
    projected_amount: str | None = None


class CustomerUsageBody(Struct, kw_only=True, omit_defaults=True):
    """The usage of a subscription in one period."""

    from_datetime: str
    to_datetime: str
    issuing_date: str
    lago_invoice_id: UUID | None
    currency: str
    amount_cents: int
    taxes_amount_cents: int
    total_amount_cents: int
    charges_usage: list[ChargeUsageBody]
    projected_amount_cents: int | None = None


class CurrentUsageReply(Struct):
    """The running period."""

    customer_usage: CustomerUsageBody


class PastUsageReply(Struct):
    """A page of periods that are over."""

    usage_periods: list[CustomerUsageBody]
    meta: Meta


class ProjectedUsageReply(Struct):
    """The running period, as it will end."""

    customer_projected_usage: CustomerUsageBody


class _Shown(Struct, frozen=True, kw_only=True):
    """How the fees of one charge are shown."""

    charge: ChargeUsage
    scale: int
    """Of its asset, in which events were debited."""
    report: UsageReport
    projects: bool

    @property
    def rated(self) -> Charge:
        """The charge, or the alternative, that priced them."""
        return self.charge.charge.rated

    @property
    def exponent(self) -> int | None:
        """Decimals of a cent; None for what is no money."""
        return CURRENCIES.get(self.rated.asset_code)

    def cents(self, amounts: Iterable[Decimal]) -> int:
        """What fees come to: each is rounded on its own."""
        exponent = self.exponent
        if exponent is None:
            return 0
        return sum(money.to_shown_minor(amount, exponent) for amount in amounts)

    def amounts(self, fees: Sequence[Fee]) -> dict[str, Any]:
        """What charges, groups and filters have in common."""
        amount = _sum(fee.amount for fee in fees)
        debited = money.to_decimal(sum(fee.debited_minor for fee in fees), self.scale)
        shown: dict[str, Any] = {
            "units": decimal_text(_sum(fee.usage.units for fee in fees)),
            "total_aggregated_units": decimal_text(_sum(fee.usage.total_units for fee in fees)),
            "events_count": sum(fee.usage.events for fee in fees),
            "amount_cents": self.cents(fee.amount for fee in fees),
            "amount": _plain(amount),
            "debited_amount": _plain(debited),
            "true_up_amount": _plain(EXACT.subtract(amount, debited)),
            "pricing_unit_details": self._unit(fees),
            "presentation_breakdowns": _presented(fees),
        }
        if self.projects:
            projected = [self._project(fee) for fee in fees]
            shown["projected_units"] = decimal_text(_sum(one.units for one in projected))
            shown["projected_amount"] = _plain(_sum(one.amount for one in projected))
            shown["projected_amount_cents"] = self.cents(one.amount for one in projected)
        return shown

    def _project(self, fee: Fee) -> Projection:
        report = self.report
        return project(fee, report.usage.period, conversion=self.rated.conversion, now=report.now)

    def _unit(self, fees: Iterable[Fee]) -> PricingUnitDetails | None:
        unit = self.rated.conversion
        if unit is None:
            return None
        return PricingUnitDetails(
            amount_cents=sum(money.to_shown_minor(fee.usage.amount, unit.scale) for fee in fees),
            short_name=unit.code,
            conversion_rate=decimal_text(unit.rate),
        )

    def filters(self, fees: Iterable[Fee]) -> list[FilterUsage]:
        """A line for each filter with usage, in the charge's order, if it has filters."""
        if not self.rated.filters:
            return []
        values = {one.id: one.values for one in self.rated.filters}
        listed = self.charge.charge.listed
        names = {
            one.id: one.invoice_display_name
            for price in (listed, *listed.alternatives)
            for one in price.filters
        }
        by_filter: dict[UUID | None, list[Fee]] = {filter_id: [] for filter_id in values}
        for fee in fees:
            by_filter.setdefault(fee.filter_id, []).append(fee)
        return [
            FilterUsage(
                invoice_display_name=names.get(filter_id) if filter_id else None,
                values={
                    key: list(chosen)
                    for key, chosen in (values.get(filter_id, {}) if filter_id else {}).items()
                },
                **self.amounts(some),
            )
            for filter_id, some in by_filter.items()
            if some
        ]

    def groups(self) -> list[GroupUsage]:
        """A line for each group with usage."""
        by_group: dict[str, list[Fee]] = {}
        for fee in self.charge.fees:
            if fee.group:
                by_group.setdefault(fee.group, []).append(fee)
        return [
            GroupUsage(
                grouped_by=from_json(group), filters=self.filters(fees), **self.amounts(fees)
            )
            for group, fees in by_group.items()
        ]

    def body(self) -> ChargeUsageBody:
        """The charge with all that it has."""
        rated, listed = self.rated, self.charge.charge.listed
        metric = self.report.metrics[listed.billable_metric_id]
        groups = self.groups()
        return ChargeUsageBody(
            amount_currency=rated.asset_code
            if self.exponent is not None
            else self.report.subscription.currency,
            asset_code=rated.asset_code,
            charge=UsageCharge(
                lago_id=listed.id,
                code=listed.code,
                charge_model=_model_name(rated) or listed.charge_model,
                invoice_display_name=listed.invoice_display_name,
            ),
            billable_metric=_metric(metric),
            filters=[] if groups else self.filters(self.charge.fees),
            grouped_usage=groups,
            **self.amounts(self.charge.fees),
        )


def usage_body(
    report: UsageReport, scales: Mapping[str, int], *, projects: bool = False
) -> CustomerUsageBody:
    """A report in Lago's shape. `scales` are those of the assets that charges are in."""
    charges = [
        _Shown(
            charge=charge,
            scale=scales[charge.charge.rated.asset_code],
            report=report,
            projects=projects,
        ).body()
        for charge in report.usage.charges
    ]
    currency = report.subscription.currency
    owed = [charge for charge in charges if charge.asset_code == currency]
    amount_cents = sum(charge.amount_cents for charge in owed)
    return CustomerUsageBody(
        from_datetime=iso_seconds(report.start),
        to_datetime=iso_seconds(report.end - timedelta(seconds=1)),
        issuing_date=day_of(report.end, report.subscription.zone).isoformat(),
        lago_invoice_id=None,
        currency=currency,
        amount_cents=amount_cents,
        taxes_amount_cents=0,
        total_amount_cents=amount_cents,
        charges_usage=charges,
        projected_amount_cents=sum(charge.projected_amount_cents or 0 for charge in owed)
        if projects
        else None,
    )


def _metric(metric: MetricName) -> UsageMetric:
    return UsageMetric(
        lago_id=metric.id,
        name=metric.name,
        code=metric.code,
        aggregation_type=metric.aggregation_type,
    )


def _model_name(charge: Charge) -> str | None:
    """The model of a charge's default price, or of its first filter."""
    models = (charge.model, *(one.model for one in charge.filters))
    return next((name_of(model) for model in models if model is not None), None)


def _presented(fees: Iterable[Fee]) -> list[PresentationBreakdown]:
    units: dict[str, Decimal] = {}
    for fee in fees:
        for by, used in fee.presented:
            units[by] = EXACT.add(units.get(by, ZERO), used)
    return [
        PresentationBreakdown(
            presentation_by={key: value or "" for key, value in from_json(by).items()},
            units=decimal_text(used),
        )
        for by, used in units.items()
    ]


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, numbers, ZERO)


def _plain(amount: Decimal) -> str:
    """The shortest decimal text that says exactly this much."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
