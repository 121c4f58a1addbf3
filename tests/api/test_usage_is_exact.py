"""Usage as the API tells it, against the price of the very events that were sent.

Plans and events are drawn at random (by seed, so that a failure can be seen again): all
aggregations, models and options that a plan takes, filters, groups, pricing units, prices that
change, late events, reversals; read before and after the worker has folded.
"""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from uuid import UUID

import pytest
from msgspec import Struct

from rating import ChargeModel, Conversion, Event, Period, Price, Terms, rate_events
from rating.charge_models import read_model
from rating.exact import EXACT, ONE, ZERO
from rating.pricing_units import converted_fee
from tests.api.conftest import NewShop
from tests.api.market import Json, Shop
from tests.api.test_usage import Fold
from tests.api.test_usage import fold as fold
from tests.rating.metering import ranges

UNITS = ranges((0, 5, "1", "2"), (6, 20, "0.5", "1"), (21, None, "0.1", "3"))
RATES = [
    {"from_value": 0, "to_value": 5, "rate": "10", "flat_amount": "2"},
    {"from_value": 6, "to_value": None, "rate": "3", "flat_amount": "1"},
]
BOUNDS = {"per_transaction_min_amount": "1", "per_transaction_max_amount": "1.2"}
MODELS: dict[str, list[Json]] = {
    "standard": [{"amount": "0.5"}, {"amount": "0.000000000000000001"}],
    "graduated": [
        {"graduated_ranges": UNITS},
        {"graduated_ranges": [UNITS[2] | {"from_value": 0}]},
    ],
    "graduated_percentage": [{"graduated_percentage_ranges": RATES}],
    "package": [{"amount": "3", "package_size": 4, "free_units": 3}],
    "percentage": [
        {"rate": "1.5", "fixed_amount": "1"},
        {"rate": "1.5", "fixed_amount": "1", "free_units_per_events": 2},
        {"rate": "1.5", "free_units_per_total_aggregation": "10"},
        {"rate": "1.5", "fixed_amount": "1"} | BOUNDS,
        {"rate": "1.5", "fixed_amount": "1", "free_units_per_events": 1} | BOUNDS,
    ],
    "volume": [{"volume_ranges": UNITS}],
    "dynamic": [{}],
}
AGGREGATIONS = ("count_agg", "sum_agg", "max_agg", "latest_agg", "unique_count_agg")
STAYING = ("sum_agg", "unique_count_agg", "weighted_sum_agg")
POINTS = Conversion(code="POINT", scale=1, rate=Decimal("0.37"))


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    shop = await new_shop("exact-usage")
    shop.ok("/assets", asset={"code": "POINT", "name": "Points", "kind": "unit", "scale": 1})
    return shop


class Place(Struct, frozen=True):
    """A price of the charge (that of its filter, or its own), and a group of it."""

    is_filtered: bool
    group: str | None


class Account:
    """A subscription to a plan of its own, drawn at random, and all that was sent to it."""

    def __init__(self, shop: Shop, rng: random.Random) -> None:
        self.shop = shop
        self.rng = rng
        self.aggregation = rng.choice((*AGGREGATIONS, *STAYING))
        self.recurring = self.aggregation in STAYING and rng.random() < 0.5
        self.rounding = rng.choice((None, None, "ceil", "round"))
        self.code = shop.unique("metric")
        self.sent: list[tuple[Place, Event]] = []
        self.models: list[tuple[ChargeModel, ChargeModel]] = []
        """The models of each version: the charge's own, and that of its filter."""
        metric = {
            "name": self.code,
            "code": self.code,
            "aggregation_type": self.aggregation,
            "field_name": "n",
            "recurring": self.recurring,
            "rounding_function": self.rounding,
            "filters": [{"key": "tier", "values": ["gold", "free"]}],
        }
        made = shop.ok("/billable_metrics", billable_metric=metric)["billable_metric"]
        self._make_plan(made["lago_id"])
        self.name = shop.customer(**({"granted_credits": "1000"} if rng.random() < 0.7 else {}))
        shop.ok(
            "/subscriptions",
            subscription={
                "external_id": self.name,
                "external_customer_id": self.name,
                "plan_code": self.plan,
                "billing_time": rng.choice(("calendar", "anniversary")),
                "subscription_at": "2024-01-31T23:59:59Z",
            },
        )

    def _make_plan(self, metric_id: str) -> None:
        """Draw plans until one is accepted."""
        rng = self.rng
        while True:
            self.model = rng.choice(list(MODELS))
            self.is_grouped, self.is_filtered = rng.random() < 0.4, rng.random() < 0.4
            self.conversion = POINTS if rng.random() < 0.3 else None
            self.prorated = self.recurring and rng.random() < 0.5
            self.pay_in_advance = rng.random() < 0.3
            self.plan = self.shop.unique("plan")
            of_filter = rng.choice(MODELS[self.model])
            charge = {
                "billable_metric_id": metric_id,
                "code": "usage",
                "charge_model": self.model,
                "properties": self._properties(),
                "prorated": self.prorated,
                "pay_in_advance": self.pay_in_advance,
            }
            if self.is_filtered:
                charge["filters"] = [{"values": {"tier": ["gold"]}, "properties": of_filter}]
            if self.conversion:
                charge["applied_pricing_unit"] = {"code": "POINT", "conversion_rate": "0.37"}
            plan = {
                "name": self.plan,
                "code": self.plan,
                "interval": rng.choice(("weekly", "monthly", "quarterly")),
                "amount_cents": 0,
                "amount_currency": "USD",
                "charges": [charge],
            }
            if self.shop.post("/plans", plan=plan).status_code == 200:
                break
        self.of_filter = read_model(self.model, of_filter)
        self.models = [(read_model(self.model, charge["properties"]), self.of_filter)]

    def _properties(self) -> Json:
        groups: Json = {"presentation_group_keys": ["team"]}
        if self.is_grouped:
            groups["pricing_group_keys"] = ["region"]
        return self.rng.choice(MODELS[self.model]) | groups

    def change_price(self) -> None:
        """The charge has another price from now on."""
        properties = self._properties()
        answer = self.shop.api.put(
            f"/plans/{self.plan}/charges/usage", json={"charge": {"properties": properties}}
        )
        assert answer.status_code == 200, answer.text
        self.models.append((read_model(self.model, properties), self.of_filter))

    def use(self) -> None:
        """Send an event: of now, or of some time before all changes; some are taken back."""
        rng = self.rng
        counts_members = self.aggregation == "unique_count_agg"
        is_late = rng.random() < 0.6
        at = datetime.now(UTC)
        if is_late:
            at -= timedelta(seconds=rng.randrange(3_600, 120 * 86_400))
        n = rng.choice("abc") if counts_members else str(Decimal(rng.randrange(-300, 2000)) / 100)
        tier, region = rng.choice(("gold", "free", None)), rng.choice(("eu", None))
        removes = counts_members and rng.random() < 0.4
        cents = Decimal(rng.randrange(9_999)) / 10
        event = self.shop.charged(
            external_subscription_id=self.name,
            code=self.code,
            timestamp=f"{at.timestamp():.6f}",
            properties={
                "n": n,
                "tier": tier,
                "region": region,
                "team": rng.choice(("a", None)),
                **({"operation_type": "remove"} if removes else {}),
            },
            precise_total_amount_cents=str(cents),
        )
        assert event["rating_status"] in {"rated", "postpaid"}
        if rng.random() < 0.12:
            reversal = {"transaction_id": self.shop.unique("reversal")}
            self.shop.ok(f"/events/{event['transaction_id']}/reverse", reverse=reversal)
            return
        place = Place(self.is_filtered and tier == "gold", region if self.is_grouped else None)
        is_counted = self.aggregation in {"count_agg", "unique_count_agg"}
        sent = Event(
            timestamp=at,
            order=len(self.sent),
            units=ONE if is_counted else Decimal(n),
            member=n if counts_members else None,
            removes=removes,
            precise_amount_cents=cents if self.model == "dynamic" else None,
            plan_version_id=UUID(int=1 if is_late else len(self.models)),
        )
        self.sent.append((place, sent))

    def told(self) -> Iterator[tuple[Period, Json]]:
        """What the API says of the running period, and of the three before it."""
        params: Json = {"external_subscription_id": self.name, "per_page": 3}
        path = f"/customers/{self.name}"
        now = self.shop.api.get(f"{path}/current_usage", params=params).json()["customer_usage"]
        past = self.shop.api.get(f"{path}/past_usage", params=params).json()["usage_periods"]
        for body in (now, *past):
            start = datetime.fromisoformat(body["from_datetime"])
            last = datetime.fromisoformat(body["to_datetime"])
            (charge,) = body["charges_usage"]
            yield Period(start=start, end=last + timedelta(seconds=1)), charge

    def expected(self, period: Period) -> tuple[Decimal, Decimal, Decimal, int]:
        """The exact amount, the units before and after rounding, and how many events."""
        usages = [
            rate_events(self._terms(place, period), self._of(place), period)
            for place in {place for place, _ in self.sent}
        ]
        return (
            total(converted_fee(usage.amount, self.conversion) for usage in usages),
            total(usage.units for usage in usages),
            total(usage.total_units for usage in usages),
            sum(usage.events for usage in usages),
        )

    def _of(self, place: Place) -> list[Event]:
        return [event for one, event in self.sent if one == place]

    def _terms(self, place: Place, period: Period) -> Terms:
        """The terms at the prices that the period's events were rated with."""
        within = (event for event in self._of(place) if period.holds(event.timestamp))
        used = sorted({event.plan_version_id.int for event in within if event.plan_version_id})
        return Terms(
            aggregation=self.aggregation,  # type: ignore[arg-type]
            prices=tuple(
                Price(UUID(int=version), self.models[version - 1][place.is_filtered])
                for version in used or [1]
            ),
            recurring=self.recurring,
            prorated=self.prorated,
            pay_in_advance=self.pay_in_advance,
            rounding_function=self.rounding,  # type: ignore[arg-type]
        )


def total(numbers: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, numbers, ZERO)


def as_told(charge: Json) -> tuple[Decimal, ...]:
    numbers = (charge["amount"], charge["units"], charge["total_aggregated_units"])
    return *map(Decimal, numbers), charge["events_count"]


@pytest.mark.parametrize("seed", [*range(8), 35, 66])  # the last ones have found something
async def test_usage_costs_what_its_events_cost(shop: Shop, fold: Fold, seed: int) -> None:
    account = Account(shop, random.Random(seed))
    for _ in range(account.rng.randrange(4, 16)):
        account.use()
        if account.rng.random() < 0.1:
            account.change_price()
        if account.rng.random() < 0.1:
            await fold()
    for _ in range(2):
        for period, charge in account.told():
            assert as_told(charge) == account.expected(period), (period, account.models)
            paid, true_up = Decimal(charge["debited_amount"]), Decimal(charge["true_up_amount"])
            assert EXACT.add(paid, true_up) == Decimal(charge["amount"])
        await fold()
