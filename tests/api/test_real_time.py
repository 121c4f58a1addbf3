"""What usage costs the moment it comes in, under every kind of price, through the API alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused

RANGES = [
    {"from_value": 0, "to_value": 5, "per_unit_amount": "0.02", "flat_amount": "0.01"},
    {"from_value": 6, "to_value": None, "per_unit_amount": "0.01", "flat_amount": "0.01"},
]
GRADUATED: Json = {"charge_model": "graduated", "properties": {"graduated_ranges": RANGES}}


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    return await new_shop("real-time")


def metric(shop: Shop, aggregation: str, **terms: Any) -> tuple[str, str]:
    """A metric over the property ``n``: its code and id."""
    code = shop.unique("metric")
    body = {"name": code, "code": code, "aggregation_type": aggregation, "field_name": "n"}
    made = shop.ok("/billable_metrics", billable_metric=body | terms)["billable_metric"]
    return code, made["lago_id"]


def customer_of(shop: Shop, metric_id: str, charge: Json, **wallet: Any) -> str:
    """Who uses a metric at this price."""
    plan = shop.unique("plan")
    shop.plan(plan, {"billable_metric_id": metric_id} | charge)
    return shop.customer(plan, **({"granted_credits": "1000"} | wallet))


def debits(shop: Shop, customer: str, code: str, *properties: Json, **terms: Any) -> list[str]:
    """What each event is charged, with the asset where it is not dollars."""
    charged: list[str] = []
    for each in properties:
        event = shop.charged(external_customer_id=customer, code=code, properties=each, **terms)
        assert event["rating_status"] == "rated"
        (debit,) = event["debits"] or [{"amount": "0", "asset_code": "USD"}]
        asset = debit["asset_code"]
        charged.append(debit["amount"] + ("" if asset == "USD" else f" {asset}"))
    return charged


def units(*quantities: Any) -> Iterator[Json]:
    return ({"n": quantity} for quantity in quantities)


# Source of the series: lago.md §3.3, pay_in_advance_charges_spec.rb.
SERIES = {
    "package": (
        {
            "charge_model": "package",
            "properties": {"amount": "100", "package_size": 2, "free_units": 3},
        },
        [(3, "0"), (1, "100"), (2, "100")],
    ),
    "graduated": (GRADUATED, [(3, "0.07"), (1, "0.02"), (2, "0.04")]),
    "graduated percentage": (
        {
            "charge_model": "graduated_percentage",
            "properties": {
                "graduated_percentage_ranges": [
                    {"from_value": 0, "to_value": 100, "rate": "20", "flat_amount": "10"},
                    {"from_value": 101, "to_value": 200, "rate": "30", "flat_amount": "7"},
                    {"from_value": 201, "to_value": None, "rate": "40", "flat_amount": "5"},
                ]
            },
        },
        [(50, "20"), (100, "32"), (300, "120")],
    ),
    "percentage": (
        {
            "charge_model": "percentage",
            "properties": {
                "rate": "5",
                "fixed_amount": "1",
                "free_units_per_total_aggregation": "120",
            },
        },
        [(100, "0"), (10, "0"), (20, "1.5"), (20, "2")],
    ),
    "bounded percentage": (
        {
            "charge_model": "percentage",
            "properties": {
                "rate": "1",
                "fixed_amount": "0.5",
                "per_transaction_min_amount": "1.75",
                "per_transaction_max_amount": "2",
            },
        },
        [(100, "1.75"), (1000, "2"), (10000, "2")],
    ),
    # Not in Lago, whose volumes are billed in arrears: what gets cheaper costs nothing more until
    # it is dearer again.
    "volume": (
        {
            "charge_model": "volume",
            "properties": {
                "volume_ranges": [
                    {"from_value": 0, "to_value": 10, "per_unit_amount": "2", "flat_amount": "0"},
                    {
                        "from_value": 11,
                        "to_value": None,
                        "per_unit_amount": "1",
                        "flat_amount": "0",
                    },
                ]
            },
        },
        [(10, "20"), (5, "0"), (4, "0"), (2, "1")],
    ),
}


@pytest.mark.parametrize("model", SERIES)
def test_events_cost_what_they_add_to_the_price_so_far(shop: Shop, model: str) -> None:
    charge, series = SERIES[model]
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, charge)
    asked = [{"n": quantity} for quantity, _ in series]
    assert debits(shop, customer, code, *asked) == [amount for _, amount in series]


@pytest.mark.parametrize("senders", [1, 8, 32])
def test_concurrent_events_add_up_to_the_exact_price(shop: Shop, senders: int) -> None:
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, GRADUATED)
    with ThreadPoolExecutor(senders) as pool:
        amounts = pool.map(lambda one: debits(shop, customer, code, one)[0], units(*([3] * 32)))
        assert sum(map(Decimal, amounts)) == Decimal("0.11") + Decimal("0.92")


def test_a_hold_is_an_upper_bound_and_items_of_one_price_go_on_from_each_other(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, GRADUATED)
    items = [{"code": code, "properties": {"n": n}} for n in (4, 2)]
    hold = shop.held(customer, items=items)
    assert hold["amount"] == "0.13"
    assert [item["amount"] for item in hold["items"]] == ["0.09", "0.04"]
    captured = shop.done(hold, "capture", items=items)
    assert captured["captured_amount"] == "0.13"
    assert debits(shop, customer, code, {"n": 1}) == ["0.01"]


def test_a_hold_on_a_volume_covers_the_dearest_quantity_on_the_way(shop: Shop) -> None:
    charge, _ = SERIES["volume"]
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, charge)
    hold = shop.held(customer, code=code, properties={"n": 12})
    assert hold["amount"] == "20"
    used = shop.done(hold, "capture", code=code, properties={"n": 10})
    assert used["captured_amount"] == "20"


def test_the_greatest_value_costs_only_what_it_is_greater(shop: Shop) -> None:
    code, metric_id = metric(shop, "max_agg")
    charge = {"charge_model": "standard", "properties": {"amount": "2"}}
    customer = customer_of(shop, metric_id, charge)
    assert debits(shop, customer, code, *units(3, 2, 5, 5, "5.5")) == ["6", "0", "4", "0", "1"]


def test_a_value_is_counted_once_until_it_is_removed(shop: Shop) -> None:
    code, metric_id = metric(shop, "unique_count_agg")
    charge = {"charge_model": "standard", "properties": {"amount": "10"}}
    customer = customer_of(shop, metric_id, charge)
    remove = {"operation_type": "remove"}
    series = [
        ({"n": "ada"}, "10"),
        ({"n": "ada"}, "0"),
        ({"n": "bob"}, "10"),
        ({"n": "ada"} | remove, "0"),
        # The most there was has been paid for.
        ({"n": "eve"}, "0"),
        ({"n": "ada"}, "10"),
        ({"n": "zoe"} | remove, "0"),
        ({"n": 7}, "10"),
    ]
    asked = [properties for properties, _ in series]
    assert debits(shop, customer, code, *asked) == [amount for _, amount in series]


@pytest.mark.parametrize("aggregation", ["latest_agg", "weighted_sum_agg"])
def test_what_is_known_only_at_the_end_of_the_period_costs_nothing_before(
    shop: Shop, aggregation: str
) -> None:
    code, metric_id = metric(shop, aggregation)
    charge = {"charge_model": "standard", "properties": {"amount": "2"}}
    customer = customer_of(shop, metric_id, charge)
    assert debits(shop, customer, code, *units(3, 5)) == ["0", "0"]
    assert shop.held(customer, code=code, properties={"n": 9})["amount"] == "0"


def test_groups_have_totals_of_their_own(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    properties = GRADUATED["properties"] | {"pricing_group_keys": ["region"]}
    customer = customer_of(shop, metric_id, GRADUATED | {"properties": properties})
    asked = [
        {"n": 3, "region": "eu"},
        {"n": 3, "region": "us"},
        {"n": 3},
        {"n": 1, "region": "eu"},
    ]
    assert debits(shop, customer, code, *asked) == ["0.07", "0.07", "0.07", "0.02"]


def test_each_group_has_its_own_free_units(shop: Shop) -> None:
    # Source: lago.md §3.3, pricing_group_keys: the model is applied per group, free units too.
    code, metric_id = metric(shop, "sum_agg")
    charge, _ = SERIES["package"]
    properties = charge["properties"] | {"pricing_group_keys": ["region"]}
    customer = customer_of(shop, metric_id, charge | {"properties": properties})
    asked = [{"n": n, "region": region} for n, region in ((3, "eu"), (3, "us"), (1, "eu"))]
    assert debits(shop, customer, code, *asked) == ["0", "0", "100"]


def test_usage_may_name_the_wallet_that_pays(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    charge = {
        "charge_model": "standard",
        "properties": {"amount": "1"},
        "accepts_target_wallet": True,
    }
    customer = customer_of(shop, metric_id, charge, code="main", granted_credits="10")
    shop.wallet(customer, code="side", granted_credits="2", priority=1)
    aimed = {"n": 4, "target_wallet_code": "main"}
    assert debits(shop, customer, code, aimed) == ["4"]
    available = {
        wallet["code"]: wallet["credits_balance"]
        for wallet in shop.api.get("/wallets", params={"external_customer_id": customer}).json()[
            "wallets"
        ]
    }
    assert available == {"main": "6.0", "side": "2.0"}
    beyond = shop.authorize(customer, code=code, properties={"n": 3, "target_wallet_code": "side"})
    assert beyond.json()["error_details"]["available"] == "2"
    unknown = shop.authorize(customer, code=code, properties={"n": 1, "target_wallet_code": "none"})
    assert refused(unknown, 402) == "no_eligible_wallet"


def test_each_event_is_paid_by_the_wallet_that_it_names(shop: Shop) -> None:
    # Source: lago.md §8 (8), events_targeting_wallets_spec.rb: of 200 and 250, 50 are left each.
    code, metric_id = metric(shop, "sum_agg")
    charge = {
        "charge_model": "standard",
        "properties": {"amount": "1"},
        "accepts_target_wallet": True,
    }
    customer = customer_of(shop, metric_id, charge, code="wallet_1", granted_credits="200")
    shop.wallet(customer, code="wallet_2", granted_credits="250")
    asked = [
        {"n": n, "target_wallet_code": wallet}
        for n, wallet in ((100, "wallet_1"), (120, "wallet_2"), (50, "wallet_1"), (80, "wallet_2"))
    ]
    assert debits(shop, customer, code, *asked) == ["100", "120", "50", "80"]
    found = shop.api.get("/wallets", params={"external_customer_id": customer}).json()["wallets"]
    left = {wallet["code"]: wallet["credits_balance"] for wallet in found}
    assert left == {"wallet_1": "50.0", "wallet_2": "50.0"}


@pytest.fixture(scope="module")
def gpu(shop: Shop) -> tuple[str, str]:
    """A metric that is paid in hours of a GPU, or in dollars; with its plan."""
    shop.ok("/assets", asset={"code": "GPU_HOUR", "name": "GPU hours", "kind": "unit"})
    code, metric_id = metric(shop, "sum_agg")
    plan = shop.unique("plan")
    shop.plan(
        plan,
        {
            "billable_metric_id": metric_id,
            "charge_model": "standard",
            "properties": {"amount": "1"},
            "asset_code": "GPU_HOUR",
            "alternatives": [{"asset_code": "USD", "properties": {"amount": "2.5"}}],
        },
    )
    return code, plan


def test_hours_pay_first_and_dollars_when_there_are_too_few(
    shop: Shop, gpu: tuple[str, str]
) -> None:
    code, plan = gpu
    customer = shop.customer(plan, granted_credits="20")
    shop.wallet(customer, asset_code="GPU_HOUR", granted_credits="5")
    hold = shop.held(customer, code=code, properties={"n": 3})
    assert (hold["amount"], hold["asset_code"]) == ("3", "GPU_HOUR")
    dollars = shop.held(customer, code=code, properties={"n": 4})
    assert (dollars["amount"], dollars["asset_code"]) == ("10", "USD")
    captured = shop.done(hold, "capture", code=code, properties={"n": 2})
    assert captured["captured_amount"] == "2"
    # Captured in the asset that holds, whatever has become free elsewhere.
    captured = shop.done(dollars, "capture", code=code, properties={"n": 1})
    assert (captured["captured_amount"], captured["asset_code"]) == ("2.5", "USD")
    assert debits(shop, customer, code, {"n": 3}, {"n": 2}) == ["3 GPU_HOUR", "5"]


def test_nobody_who_can_pay_is_asked_in_money_first(shop: Shop, gpu: tuple[str, str]) -> None:
    code, plan = gpu
    customer = shop.customer(plan, granted_credits="1")
    too_much = shop.authorize(customer, code=code, properties={"n": 1})
    assert refused(too_much, 402) == "insufficient_funds"
    assert too_much.json()["error_details"] == {
        "needed": "2.5",
        "available": "1",
        "asset_code": "USD",
    }
    asked = {"external_customer_id": customer, "code": code, "properties": {"n": 1}}
    estimate = shop.ok("/authorizations/estimate", authorization=asked)["estimate"]
    assert (estimate["amount"], estimate["asset_code"], estimate["sufficient"]) == (
        "2.5",
        "USD",
        False,
    )
    # Usage that happened is charged where there is a wallet, and owed for the rest.
    assert debits(shop, customer, code, {"n": 1}) == ["1"]
    assert shop.balance(customer) == ("0", "0", "1.5")


def test_prices_in_a_pricing_unit_are_paid_in_money(shop: Shop) -> None:
    unit = "CREDITS"
    shop.ok("/assets", asset={"code": unit, "name": "Credits", "kind": "unit", "scale": 2})
    code, metric_id = metric(shop, "sum_agg")
    charge = {
        "charge_model": "standard",
        "properties": {"amount": "3"},
        "applied_pricing_unit": {"code": unit, "conversion_rate": "0.25"},
    }
    customer = customer_of(shop, metric_id, charge)
    assert debits(shop, customer, code, *units(2)) == ["1.5"]


def test_usage_may_bring_its_own_price(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, {"charge_model": "dynamic", "properties": {}})
    # Source: lago.md §3.2, 7.
    for cents, amount in (("10.1", "0.101"), (Decimal("901.9"), "9.019")):
        sent = float(cents) if isinstance(cents, Decimal) else cents
        event = shop.charged(
            external_customer_id=customer,
            code=code,
            properties={"n": 1},
            precise_total_amount_cents=sent,
        )
        assert event["precise_total_amount_cents"] == str(cents)
        assert event["debits"][0]["amount"] == amount
    without = shop.charged(external_customer_id=customer, code=code, properties={"n": 1})
    assert without["rating_status"] == "unrated"
    item = {"code": code, "properties": {"n": 1}}
    asked = shop.authorize(customer, items=[item])
    assert refused(asked) == {"items.0.precise_total_amount_cents": ["value_is_mandatory"]}
    priced = shop.held(customer, items=[item | {"precise_total_amount_cents": "250"}])
    assert priced["amount"] == "2.5"
    wrong = shop.authorize(customer, items=[item | {"precise_total_amount_cents": "NaN"}])
    assert refused(wrong) == {"items.0.precise_total_amount_cents": ["value_is_invalid"]}


def test_a_prorated_price_is_for_the_days_that_are_left(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg", recurring=True)
    charge = {
        "charge_model": "standard",
        "properties": {"amount": "30.12"},
        "prorated": True,
        "pay_in_advance": True,
    }
    customer = customer_of(shop, metric_id, charge, granted_credits="10000")
    now = datetime.now(UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = ((first + timedelta(days=40)).replace(day=1) - first).days
    left = days - now.day + 1
    share = Decimal(-(-left * 100_000 // days)) / 100_000
    expected = [share * Decimal("30.12"), Decimal(0), Decimal(0)]
    paid = debits(shop, customer, code, *units(1)) + debits(
        shop, customer, code, {"n": 0}, {"n": "0.0"}
    )
    assert [Decimal(amount) for amount in paid] == expected


def test_a_new_price_counts_from_what_was_used_before(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    plan = shop.unique("plan")
    made = shop.plan(plan, {"billable_metric_id": metric_id} | GRADUATED)
    customer = shop.customer(plan, granted_credits="1000")
    assert debits(shop, customer, code, *units(3)) == ["0.07"]
    (charge,) = made["charges"]
    dearer = [one | {"per_unit_amount": "1"} for one in RANGES]
    answer = shop.api.put(
        f"/plans/{plan}/charges/{charge['code']}",
        json={"charge": {"properties": {"graduated_ranges": dearer}}},
    )
    assert answer.status_code == 200, answer.text
    # Two more of the first five, then one beyond them with its range's flat amount.
    assert debits(shop, customer, code, *units(2, 1)) == ["2", "1.01"]


def test_a_price_by_tiers_starts_from_what_was_used_while_it_had_none(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    plan = shop.unique("plan")
    price = {"charge_model": "standard", "properties": {"amount": "1"}}
    made = shop.plan(plan, {"billable_metric_id": metric_id} | price)
    customer = shop.customer(plan, granted_credits="1000")
    assert debits(shop, customer, code, *units(1, 2)) == ["1", "2"]
    (charge,) = made["charges"]
    answer = shop.api.put(f"/plans/{plan}/charges/{charge['code']}", json={"charge": GRADUATED})
    assert answer.status_code == 200, answer.text
    # From the fourth unit to the sixth: two of the first five, one beyond them.
    assert debits(shop, customer, code, *units(3, 1)) == ["0.06", "0.01"]


def test_usage_from_before_a_price_change_has_the_price_of_its_time(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    plan = shop.unique("plan")
    price = {"charge_model": "standard", "properties": {"amount": "1"}}
    made = shop.plan(plan, {"billable_metric_id": metric_id} | price)
    customer = shop.customer(plan, granted_credits="1000")
    (charge,) = made["charges"]
    soon = datetime.now(UTC) + timedelta(hours=1)
    answer = shop.api.put(
        f"/plans/{plan}/charges/{charge['code']}",
        json={
            "charge": {"properties": {"amount": "7"}, "effective_at": soon.isoformat()},
        },
    )
    assert answer.status_code == 200, answer.text
    after = (soon + timedelta(minutes=1)).timestamp()
    assert debits(shop, customer, code, *units(1)) == ["1"]
    assert debits(shop, customer, code, *units(1), timestamp=int(after)) == ["7"]


def test_a_correction_costs_nothing_and_what_is_used_again_is_free(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, GRADUATED)
    assert debits(shop, customer, code, *units(5, -2, 2, 1)) == ["0.11", "0", "0", "0.02"]


def test_a_first_correction_owes_no_flat_amount_and_the_usage_says_the_same(shop: Shop) -> None:
    # Source: lago.md §3.3: negative events give 0; negative units cost 0.
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, GRADUATED)
    terms = {"external_subscription_id": f"{customer}-0"}
    debited = Decimal(0)
    for quantity, charged, price in ((-3, "0", 0), (1, "0", 0), (2, "0.01", 1), (1, "0.02", 3)):
        assert debits(shop, customer, code, {"n": quantity}) == [charged]
        debited += Decimal(charged)
        told = shop.api.get(f"/customers/{customer}/current_usage", params=terms).json()
        (charge,) = told["customer_usage"]["charges_usage"]
        assert charge["amount_cents"] == price
        assert Decimal(charge["debited_amount"]) == debited == Decimal(charge["amount"])


def test_a_reversal_takes_back_what_was_charged_and_what_was_counted(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    customer = customer_of(shop, metric_id, GRADUATED)
    event = shop.charged(external_customer_id=customer, code=code, properties={"n": 3})
    key = shop.unique("reversal")
    shop.ok(f"/events/{event['transaction_id']}/reverse", reverse={"transaction_id": key})
    assert shop.balance(customer) == ("1000", "0", "0")
    (line,) = shop.api.get(f"/events/{key}").json()["event"]["debits"]
    assert line["amount"] == "-0.07"
