"""Alerts of subscriptions on the wire."""

from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from invoicing.errors import Invalid
from invoicing.subscription_alerts import (
    ALERTS_MAX,
    AlertChanges,
    SubscriptionAlert,
    Threshold,
)
from wallet_service.api.pagination import Meta as PageMeta
from wallet_service.api.schemas.billable_metrics import MetricBody
from wallet_service.api.schemas.formats import (
    Code,
    Given,
    Name,
    ShortList,
    Word,
    changes,
    iso_seconds,
    optional_iso,
)
from wallet_service.replies import decimal_text


class ThresholdInput(Struct):
    """A value to be passed."""

    code: Given[Code] = UNSET
    value: Given[Decimal] = UNSET
    recurring: Given[bool] = UNSET

    def threshold(self, position: int) -> Threshold:
        """The same for the domain. Raises Invalid."""
        if not isinstance(self.value, Decimal):
            raise Invalid.field(f"thresholds.{position}.value", "value_is_mandatory")
        return Threshold(code=self.code or None, value=self.value, recurring=self.recurring is True)


class AlertInput(Struct):
    """What an alert is told of, and when."""

    alert_type: Given[Word] = UNSET
    code: Given[Code] = UNSET
    name: Given[Name] = UNSET
    billable_metric_code: Given[Code] = UNSET
    thresholds: Given[ShortList[ThresholdInput]] = UNSET

    def changes(self) -> AlertChanges:
        """The same for the domain. Raises Invalid."""
        given = self.thresholds
        thresholds = (
            [one.threshold(position) for position, one in enumerate(given)]
            if isinstance(given, list)
            else UNSET
        )
        return changes(self, AlertChanges, thresholds=thresholds)


class AlertEnvelope(Struct):
    """The envelope of an alert to change."""

    alert: AlertInput


class NewAlertsEnvelope(Struct):
    """The envelope of an alert to create; `alerts` creates several, all or none."""

    alert: Given[AlertInput] = UNSET
    alerts: Given[Annotated[list[AlertInput], Meta(max_length=ALERTS_MAX)]] = UNSET

    @property
    def are_many(self) -> bool:
        """Whether a list is asked for."""
        return isinstance(self.alerts, list)

    def given(self) -> list[AlertInput]:
        """Those that are asked for."""
        if isinstance(self.alerts, list):
            return self.alerts
        return [] if self.alert is None or isinstance(self.alert, UnsetType) else [self.alert]


class AlertThresholdBody(Struct, kw_only=True):
    """A value to be passed."""

    code: str | None
    value: str
    recurring: bool

    @classmethod
    def of(cls, threshold: Threshold) -> "AlertThresholdBody":
        """Show a threshold."""
        return cls(
            code=threshold.code,
            value=decimal_text(threshold.value),
            recurring=threshold.recurring,
        )


class AlertBody(Struct, kw_only=True):
    """An alert. Amounts are in cents."""

    lago_id: str
    lago_organization_id: str
    external_subscription_id: str
    lago_wallet_id: str | None = None
    wallet_code: str | None = None
    alert_type: str
    code: str
    name: str | None
    direction: str = "increasing"
    previous_value: str
    last_processed_at: str | None
    thresholds: list[AlertThresholdBody]
    billable_metric: MetricBody | None
    created_at: str

    @classmethod
    def of(cls, alert: SubscriptionAlert, metric: MetricBody | None) -> "AlertBody":
        """Show an alert."""
        return cls(
            lago_id=str(alert.id),
            lago_organization_id=str(alert.organization_id),
            external_subscription_id=alert.external_subscription_id,
            alert_type=alert.alert_type,
            code=alert.code,
            name=alert.name,
            previous_value=decimal_text(alert.previous_value),
            last_processed_at=optional_iso(alert.last_processed_at),
            thresholds=[AlertThresholdBody.of(one) for one in alert.thresholds],
            billable_metric=metric,
            created_at=iso_seconds(alert.created_at),
        )


class AlertReply(Struct):
    """The envelope of an alert."""

    alert: AlertBody


class NewAlertsReply(Struct, omit_defaults=True):
    """The alerts that were made: one, or as many as were asked for."""

    alert: AlertBody | UnsetType = UNSET
    alerts: list[AlertBody] | UnsetType = UNSET


class AlertsReply(Struct):
    """A page of alerts."""

    alerts: list[AlertBody]
    meta: PageMeta
