"""A catalogue with a price of every kind, and usage of each: what rating again is tried on."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from invoicing import add_ons, billable_metrics, customers, events, plans, subscription_changes
from invoicing.add_ons import AddOnChanges
from invoicing.billable_metrics import MetricChanges, MetricFilter
from invoicing.charge_assets import AlternativeChanges
from invoicing.charge_changes import ChargeChanges
from invoicing.charge_filters import FilterChanges
from invoicing.fixed_charges import FixedChargeChanges
from invoicing.plans import Plan, PlanChanges
from invoicing.subscription_requests import SubscriptionRequest
from tests.wallet_service.story import Story, paid
from wallet_service import assets
from wallet_service.authorization_requests import (
    AuthorizationRequest,
    CaptureRequest,
    RefundRequest,
)
from wallet_service.decision import Asset
from wallet_service.items import ItemRequest
from wallet_service.usage_requests import EventRequest, ReverseRequest

METRICS = (
    MetricChanges(code="calls", aggregation_type="count_agg"),
    MetricChanges(
        code="words",
        aggregation_type="sum_agg",
        field_name="words",
        filters=[MetricFilter("model", ["small", "large"])],
    ),
    MetricChanges(code="images", aggregation_type="count_agg"),
    MetricChanges(code="traffic", aggregation_type="sum_agg", field_name="gb"),
    MetricChanges(code="payments", aggregation_type="sum_agg", field_name="value"),
    MetricChanges(code="users", aggregation_type="unique_count_agg", field_name="user"),
    MetricChanges(
        code="desks", aggregation_type="unique_count_agg", field_name="desk", recurring=True
    ),
    MetricChanges(code="peak", aggregation_type="max_agg", field_name="load"),
    MetricChanges(code="level", aggregation_type="latest_agg", field_name="level"),
    MetricChanges(code="deals", aggregation_type="sum_agg", field_name="count"),
    MetricChanges(code="gpu", aggregation_type="sum_agg", field_name="hours"),
    MetricChanges(
        code="pixels",
        aggregation_type="sum_agg",
        field_name="pixels",
        expression="event.properties.width * event.properties.height",
    ),
)


def tiers(*bounds: tuple[int, int | None, str, str]) -> list[dict[str, Any]]:
    """The ranges of a graduated or volume price: from, to, per unit, flat."""
    return [
        {"from_value": low, "to_value": high, "per_unit_amount": unit, "flat_amount": flat}
        for low, high, unit, flat in bounds
    ]


TOKENS = MetricChanges(code="tokens", aggregation_type="sum_agg", field_name="tokens")
CALLS = MetricChanges(code="calls", aggregation_type="count_agg")
TIERED = {"graduated_ranges": tiers((0, 1000, "0.008", "1"), (1001, None, "0.005", "0"))}


def at(month: int, day: int = 1) -> datetime:
    """A day of 2025."""
    return datetime(2025, month, day, tzinfo=UTC)


def charge(metric: str, model: str, properties: dict[str, Any], **more: Any) -> ChargeChanges:
    """A charge, called like its metric."""
    return ChargeChanges(
        billable_metric_code=metric, code=metric, charge_model=model, properties=properties, **more
    )


def every_kind() -> list[ChargeChanges]:
    """A charge of each kind."""
    return [
        charge("calls", "standard", {"amount": "0.0000000015"}),
        charge(
            "words",
            "graduated",
            {"graduated_ranges": tiers((0, 10, "0.5", "1"), (11, None, "0.1", "0"))},
            filters=[
                FilterChanges(
                    values={"model": ["large"]},
                    properties={"graduated_ranges": tiers((0, 5, "2", "0"), (6, None, "1", "0"))},
                )
            ],
        ),
        charge("images", "package", {"amount": "5", "package_size": 3, "free_units": 1}),
        charge(
            "traffic",
            "volume",
            {
                "volume_ranges": tiers((0, 10, "1", "0"), (11, None, "0.2", "2")),
                "pricing_group_keys": ["region"],
            },
        ),
        charge("payments", "percentage", {"rate": "1.3", "free_units_per_events": 1}),
        charge("users", "standard", {"amount": "0.7"}),
        charge("desks", "standard", {"amount": "31.000000001"}, prorated=True),
        charge("peak", "standard", {"amount": "0.25"}),
        charge("level", "standard", {"amount": "3"}),
        charge("deals", "dynamic", {}),
        charge(
            "gpu",
            "standard",
            {"amount": "1"},
            asset_code="GPU_HOUR",
            alternatives=[
                AlternativeChanges(
                    asset_code="USD", charge_model="standard", properties={"amount": "2.5"}
                )
            ],
        ),
        charge("pixels", "standard", {"amount": "0.000001"}),
    ]


USAGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("calls", {}),
    ("words", {"words": 4}),
    ("words", {"words": "8.123456789012345678"}),
    ("words", {"words": 4, "model": "large"}),
    ("words", {"words": 4, "model": "large"}),
    *[("images", {})] * 5,
    ("traffic", {"gb": 8, "region": "eu"}),
    ("traffic", {"gb": 8, "region": "eu"}),
    ("traffic", {"gb": 8}),
    ("payments", {"value": 100}),
    ("payments", {"value": "250.55"}),
    ("users", {"user": "ada"}),
    ("users", {"user": "ada"}),
    ("users", {"user": "ada", "operation_type": "remove"}),
    ("users", {"user": "bob"}),
    ("desks", {"desk": "a1"}),
    ("desks", {"desk": "a2"}),
    ("peak", {"load": 7}),
    ("peak", {"load": 3}),
    ("peak", {"load": "7.5"}),
    ("level", {"level": 4}),
    ("deals", {"count": 2}),
    ("gpu", {"hours": 3}),
    ("pixels", {"width": 640, "height": 480}),
)


class Market:
    """An organization that sells, and what its customers use."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.services = story.services
        self.organization_id = story.organization_id
        self._keys = itertools.count(1)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def metrics(self, *wanted: MetricChanges) -> None:
        """Declare what is measured."""
        async with self.services.changing_catalogue(self.organization_id) as connection:
            for changes in wanted:
                changes.name = changes.code
                await billable_metrics.create(
                    connection, self.organization_id, changes, now=self.now
                )

    async def unit(self, code: str) -> Asset:
        """A native unit."""
        async with self.services.changing_catalogue(self.organization_id) as connection:
            row = await assets.create(
                connection,
                self.organization_id,
                code=code,
                name=code,
                kind="unit",
                scale=9,
                now=self.now,
            )
        return row.asset()

    async def plan(
        self,
        code: str,
        *wanted: ChargeChanges,
        interval: str = "monthly",
        amount_cents: int = 0,
        **more: Any,
    ) -> Plan:
        """A plan in dollars with these charges."""
        changes = PlanChanges(
            code=code,
            name=code,
            interval=interval,
            amount_cents=amount_cents,
            amount_currency="USD",
            **more,
        )
        async with self.services.changing_catalogue(self.organization_id) as connection:
            return await plans.create(
                connection,
                self.organization_id,
                changes,
                wanted,
                units={"GPU_HOUR": 9},
                now=self.now,
            )

    async def add_on(self, code: str) -> None:
        """Something that fixed charges sell units of."""
        async with self.services.changing_catalogue(self.organization_id) as connection:
            await add_ons.create(
                connection,
                self.organization_id,
                AddOnChanges(code=code, name=code, amount_cents=0, amount_currency="USD"),
                now=self.now,
            )

    async def change_units(self, plan: str, fixed_charge: str, units: int, **more: Any) -> None:
        """Other units of a plan's only fixed charge."""
        wanted = FixedChargeChanges(code=fixed_charge, units=Decimal(units), **more)
        async with self.services.changing_catalogue(self.organization_id) as connection:
            await plans.update(
                connection,
                self.organization_id,
                plan,
                PlanChanges(wanted_fixed_charges=[wanted]),
                now=self.now,
            )

    async def change(self, code: str, *wanted: ChargeChanges) -> Plan:
        """The plan with other charges from now on."""
        async with self.services.changing_catalogue(self.organization_id) as connection:
            return await plans.update(
                connection,
                self.organization_id,
                code,
                PlanChanges(),
                wanted,
                units={"GPU_HOUR": 9},
                now=self.now,
            )

    async def subscribe(
        self,
        name: str,
        plan: str,
        *,
        external_id: str | None = None,
        since: datetime | None = None,
        **more: Any,
    ) -> None:
        """Put a customer on a plan."""
        async with self.services.changing_catalogue(self.organization_id) as connection:
            request = SubscriptionRequest(
                external_id=external_id or name,
                external_customer_id=name,
                plan_code=plan,
                subscription_at=since,
                **more,
            )
            await subscription_changes.create(
                connection, self.organization_id, request, now=self.now
            )

    async def customer(self, name: str, **more: Any) -> UUID:
        """A customer without a wallet."""
        async with self.services.database.tenant(self.organization_id) as connection:
            changes = customers.CustomerChanges(**more)
            made = await customers.upsert(
                connection, self.organization_id, name, changes, now=self.now
            )
        return made.id

    async def use(
        self,
        subscription: str,
        code: str,
        *,
        at: datetime | None = None,
        cents: str | None = None,
        **properties: Any,
    ) -> str:
        """An event; its transaction id."""
        key = f"use-{next(self._keys)}"
        request = EventRequest(
            transaction_id=key,
            code=code,
            external_subscription_id=subscription,
            timestamp=None if at is None else int(at.timestamp()),
            properties=properties,
            precise_total_amount_cents=cents,
        )
        await self.services.usage.record(self.organization_id, request, now=self.now)
        return key

    async def redrive(self, transaction_id: str) -> None:
        """Rate an event that could not be rated when it came."""
        async with self.services.database.tenant(self.organization_id) as connection:
            event = await events.get(connection, self.organization_id, transaction_id)
        assert await self.services.usage.redrive(event, now=self.now)

    async def reverse(self, transaction_id: str, amount: str | None = None) -> None:
        """Take an event back, all of it or an amount."""
        request = ReverseRequest(transaction_id=f"{transaction_id}-back-{amount}", amount=amount)
        await self.services.usage.reverse(
            self.organization_id, transaction_id, request, now=self.now
        )

    async def capture(self, customer: str, *items: tuple[str, dict[str, Any]]) -> UUID:
        """Hold for items and settle for the same; the authorization."""
        requests = [
            ItemRequest(code, properties, "120" if code == "deals" else None)
            for code, properties in items
        ]
        key = f"hold-{next(self._keys)}"
        reply = await self.services.authorizations.authorize(
            self.organization_id,
            AuthorizationRequest(external_customer_id=customer, transaction_id=key, items=requests),
            now=self.now,
        )
        authorization = UUID(msgspec.json.decode(reply)["authorization"]["id"])
        await self.services.authorizations.capture(
            self.organization_id, authorization, CaptureRequest(items=requests), now=self.now
        )
        return authorization

    async def refund(self, authorization: UUID, amount: str) -> None:
        """Give captured money back."""
        request = RefundRequest(transaction_id=f"refund-{next(self._keys)}", amount=amount)
        await self.services.authorizations.refund(
            self.organization_id, authorization, request, now=self.now
        )


async def tell_prices(story: Story) -> None:
    """Usage at prices of every kind, before and after a change of them, and some taken back."""
    market = Market(story)
    gpu = await market.unit("GPU_HOUR")
    await market.metrics(*METRICS)
    await market.plan("every", *every_kind())
    rich = await story.customer("rich", paid(1000))
    await story.wallet(rich, "rich", paid(4), asset=gpu)
    await market.customer("later")
    last_week = market.now - timedelta(days=7)
    early = await market.use("later", "pixels", width=800, height=600)
    for name in ("rich", "later"):
        await market.subscribe(name, "every", since=last_week)
        for code, properties in USAGE:
            cents = "312.5" if code == "deals" else None
            await market.use(name, code, cents=cents, **properties)
    await market.redrive(early)
    dearer = [
        charge("words", "package", {"amount": "1.1", "package_size": 7}),
        charge("calls", "standard", {"amount": "0.0000000025"}),
    ]
    kept = [one for one in every_kind() if one.code not in {"words", "calls"}]
    await market.change("every", *dearer, *kept)
    for name in ("rich", "later"):
        for code, properties in USAGE:
            cents = "99" if code == "deals" else None
            await market.use(name, code, cents=cents, **properties)
    for name in ("rich", "later"):
        await market.use(name, "words", words=-3)
        await market.reverse(await market.use(name, "words", words=20))
    part = await market.use("rich", "gpu", hours=10)
    await market.reverse(part, "1.5")
    await market.reverse(part, "2")
    authorization = await market.capture(
        "rich",
        ("words", {"words": 9}),
        ("images", {}),
        ("users", {"user": "eve"}),
        ("deals", {"count": 1}),
    )
    await market.refund(authorization, "0.5")
