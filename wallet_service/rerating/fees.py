"""What the periods of a subscription cost beside usage, by its own plan and by the one tried."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from invoicing.period_fees import PeriodFee, Subscribed, UsedAmounts, period_fees
from invoicing.plan_terms import PlanTerms, load_terms
from invoicing.records import Connection
from rating.exact import EXACT, ZERO
from wallet_service.rerating.counting import Bucket, Periods
from wallet_service.usage_reports import UsageSubscription

__all__ = ["AmountsUsed", "OwnTerms", "fees_of"]


class AmountsUsed:
    """What usage came to in each period, as minimums and commitments ask."""

    def __init__(self) -> None:
        self._by_charge: dict[datetime, dict[UUID, Decimal]] = {}
        self._by_asset: dict[datetime, dict[str, Decimal]] = {}

    def add(self, bucket: Bucket, amount: Decimal) -> None:
        """Count what one price of a charge, or one group of it, came to."""
        start, key = bucket.stretch.start, bucket.key
        charges = self._by_charge.setdefault(start, {})
        charges[key.charge_id] = EXACT.add(charges.get(key.charge_id, ZERO), amount)
        assets = self._by_asset.setdefault(start, {})
        assets[key.asset_code] = EXACT.add(assets.get(key.asset_code, ZERO), amount)

    def within(self, start: datetime, currency: str) -> UsedAmounts:
        """Those of the stretch that begins then."""
        return UsedAmounts(
            by_charge=self._by_charge.get(start, {}),
            in_currency=self._by_asset.get(start, {}).get(currency, ZERO),
        )


class OwnTerms:
    """What the plans ask for that there are subscriptions to; read once each."""

    def __init__(self, connection: Connection, organization_id: UUID) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._terms: dict[UUID, PlanTerms] = {}

    async def of(self, plan_id: UUID) -> PlanTerms:
        """Those of a plan."""
        if plan_id not in self._terms:
            self._terms[plan_id] = await load_terms(
                self._connection, self._organization_id, plan_id
            )
        return self._terms[plan_id]


def fees_of(
    terms: PlanTerms,
    subscription: UsageSubscription,
    periods: Periods,
    used: AmountsUsed,
    *,
    first_started_at: datetime,
) -> Iterator[PeriodFee]:
    """The fees of the periods that a subscription lived, as these terms have them."""

    def period_after(at: datetime) -> datetime:
        bounds = subscription.period_at(at)
        return at if at == bounds.start else bounds.end

    subscribed = Subscribed(
        started_at=subscription.started_at,
        first_started_at=first_started_at,
        period_after=period_after,
    )
    for stretch in periods.lived:
        amounts = used.within(stretch.start, terms.currency)
        yield from period_fees(terms, subscribed, stretch.period, amounts, whole=stretch.whole)
