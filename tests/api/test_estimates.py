"""What events would be billed in advance: after all usage so far, or as if there were none."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from rating.exact import EXACT
from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused

IN_ADVANCE = {"pay_in_advance": True}


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    return await new_shop("estimates")


def metric(shop: Shop, aggregation: str = "sum_agg", **terms: Any) -> tuple[str, str]:
    """A metric over the property ``n``: its code and id."""
    code = shop.unique("metric")
    body = {"name": f"All of {code}", "code": code, "aggregation_type": aggregation}
    if aggregation != "count_agg":
        body["field_name"] = "n"
    made = shop.ok("/billable_metrics", billable_metric=body | terms)["billable_metric"]
    return code, made["lago_id"]


def user_of(shop: Shop, *charges: Json, **wallet: Any) -> str:
    """The subscription of somebody whose plan has these charges."""
    plan = shop.unique("plan")
    shop.plan(plan, *(IN_ADVANCE | charge for charge in charges))
    customer = shop.customer(plan, **({"granted_credits": "100000"} | wallet))
    return f"{customer}-0"


def fees(shop: Shop, which: str = "estimate_fees", **event: Any) -> list[Json]:
    return shop.ok(f"/events/{which}", event=event)["fees"]


def fee(shop: Shop, which: str = "estimate_fees", **event: Any) -> Json:
    (found,) = fees(shop, which, **event)
    return found


# -- after all usage so far ------------------------------------------------------------------------


def ranges(kind: str, *given: tuple[int, int | None, str, str]) -> list[Json]:
    return [
        {"from_value": low, "to_value": high, kind: price, "flat_amount": flat}
        for low, high, price, flat in given
    ]


# Source of the series: lago.md §3.3, pay_in_advance_charges_spec.rb; fees in cents.
SERIES: dict[str, tuple[Json, list[tuple[int, int]]]] = {
    "package": (
        {
            "charge_model": "package",
            "properties": {"amount": "100", "package_size": 2, "free_units": 3},
        },
        [(3, 0), (1, 10000), (2, 10000)],
    ),
    "graduated": (
        {
            "charge_model": "graduated",
            "properties": {
                "graduated_ranges": ranges(
                    "per_unit_amount", (0, 5, "0.02", "0.01"), (6, None, "0.01", "0.01")
                )
            },
        },
        [(3, 7), (1, 2), (2, 4)],
    ),
    "graduated percentage": (
        {
            "charge_model": "graduated_percentage",
            "properties": {
                "graduated_percentage_ranges": ranges(
                    "rate",
                    (0, 100, "20", "10"),
                    (101, 200, "30", "7"),
                    (201, None, "40", "5"),
                )
            },
        },
        [(50, 2000), (100, 3200), (300, 12000)],
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
        [(100, 0), (10, 0), (20, 150), (20, 200)],
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
        [(100, 175), (1000, 200), (10000, 200)],
    ),
    # Source: lago.md §3.2, 5: rate 1, fixed 5, free total 15.
    "free total": (
        {
            "charge_model": "percentage",
            "properties": {
                "rate": "1",
                "fixed_amount": "5",
                "free_units_per_total_aggregation": "15",
            },
        },
        [(4, 0), (4, 0), (4, 0), (4, 501), (10, 510)],
    ),
    # Source: lago.md §3.3: three events of the same second on ranges 0-2 at 0, 3+ at 2.
    "free range": (
        {
            "charge_model": "graduated",
            "properties": {
                "graduated_ranges": ranges("per_unit_amount", (0, 2, "0", "0"), (3, None, "2", "0"))
            },
        },
        [(1, 0), (1, 0), (1, 200)],
    ),
}


@pytest.mark.parametrize("model", SERIES)
def test_an_estimate_says_what_the_event_is_charged_then(shop: Shop, model: str) -> None:
    charge, series = SERIES[model]
    code, metric_id = metric(shop)
    subscription = user_of(shop, charge | {"billable_metric_id": metric_id})
    for units, cents in series:
        event = {
            "external_subscription_id": subscription,
            "code": code,
            "properties": {"n": units},
        }
        estimated = fee(shop, **event)
        assert (estimated["amount_cents"], estimated["amount_currency"]) == (cents, "USD")
        assert fee(shop, **event) == estimated
        charged = sum(Decimal(one["amount"]) for one in shop.charged(**event)["debits"])
        assert Decimal(estimated["precise_amount"]) == charged


def test_an_event_that_names_its_own_price_is_rounded_to_cents(shop: Shop) -> None:
    code, metric_id = metric(shop)
    charge = {"billable_metric_id": metric_id, "charge_model": "dynamic", "properties": {}}
    subscription = user_of(shop, charge)
    event = {"external_subscription_id": subscription, "code": code, "properties": {"n": 1}}
    # Source: lago.md §3.2, 7.
    for which in ("estimate_fees", "estimate_instant_fees"):
        for named, cents in (("1234.56", 1235), ("2.1", 2), (2.5, 3)):
            estimated = fee(shop, which, **event, precise_total_amount_cents=named)
            assert estimated["amount_cents"] == cents
            assert estimated["precise_amount_cents"] == str(named)
    without = shop.post("/events/estimate_fees", event=event)
    assert refused(without) == {"precise_total_amount_cents": ["value_is_mandatory"]}


def test_halves_are_rounded_away_from_nothing_and_the_exact_amount_stands_beside(
    shop: Shop,
) -> None:
    code, metric_id = metric(shop)
    price = {"charge_model": "standard", "properties": {"amount": "0.000001234567890123456789"}}
    subscription = user_of(shop, price | {"billable_metric_id": metric_id})
    for units in ("4050", "4049.9999", "12345678901.5"):
        estimated = fee(
            shop, external_subscription_id=subscription, code=code, properties={"n": units}
        )
        exact = EXACT.multiply(Decimal(units), Decimal("0.000123456789012345678900"))
        assert Decimal(estimated["precise_amount_cents"]) == exact
        assert Decimal(estimated["precise_amount"]) == exact.scaleb(-2, EXACT)
        assert estimated["amount_cents"] == int(exact.to_integral_value(ROUND_HALF_UP))
    half = user_of(
        shop,
        {"charge_model": "standard", "properties": {"amount": "0.005"}}
        | {"billable_metric_id": metric_id},
    )
    event = {"external_subscription_id": half, "code": code, "properties": {"n": 5}}
    assert fee(shop, **event)["amount_cents"] == 3


def test_a_fee_is_shown_in_lagos_shape(shop: Shop) -> None:
    code, metric_id = metric(shop, filters=[{"key": "region", "values": ["eu", "us"]}])
    charge = {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "invoice_display_name": "Traffic",
        "properties": {"amount": "1", "pricing_group_keys": ["team", "user"]},
        "filters": [
            {
                "values": {"region": ["eu"]},
                "properties": {"amount": "0.125", "pricing_group_keys": ["team", "user"]},
                "invoice_display_name": "Europe",
            }
        ],
    }
    plan = shop.unique("plan")
    made = shop.plan(plan, IN_ADVANCE | charge)["charges"][0]
    customer = shop.customer(plan)
    found = shop.api.get(f"/customers/{customer}").json()["customer"]
    agreed = shop.api.get(f"/subscriptions/{customer}-0").json()["subscription"]
    properties = {"n": "3", "region": "eu", "team": "red"}
    event = {
        "transaction_id": "call-1",
        "external_subscription_id": f"{customer}-0",
        "code": code,
        "properties": properties,
    }
    shown = fee(shop, **event)
    assert shown.pop("from_date").endswith("-01T00:00:00Z")
    assert shown.pop("to_date").endswith("-01T00:00:00Z")
    assert shown == {
        "lago_id": None,
        "lago_charge_id": made["lago_id"],
        "lago_charge_filter_id": made["filters"][0]["lago_id"],
        "lago_invoice_id": None,
        "lago_subscription_id": agreed["lago_id"],
        "external_subscription_id": f"{customer}-0",
        "lago_customer_id": found["lago_id"],
        "external_customer_id": customer,
        "amount_cents": 38,
        "amount_currency": "USD",
        "asset_code": "USD",
        "precise_amount": "0.375",
        "precise_amount_cents": "37.5",
        "precise_unit_amount": "0.125",
        "precise_total_amount": "0.375",
        "precise_coupons_amount_cents": "0.0",
        "sub_total_excluding_taxes_amount_cents": 38,
        "sub_total_excluding_taxes_precise_amount_cents": "37.5",
        "taxes_amount_cents": 0,
        "taxes_precise_amount": "0.0",
        "taxes_rate": 0.0,
        "total_amount_cents": 38,
        "total_amount_currency": "USD",
        "units": "3.0",
        "events_count": 1,
        "payment_status": "pending",
        "pay_in_advance": True,
        "invoiceable": True,
        "self_billed": False,
        "amount_details": {},
        "is_adjusted": False,
        "lago_fixed_charge_id": None,
        "lago_original_fee_id": None,
        "lago_true_up_fee_id": None,
        "lago_true_up_parent_fee_id": None,
        "presentation_breakdowns": [],
        "total_aggregated_units": None,
        "event_transaction_id": "call-1",
        "created_at": None,
        "succeeded_at": None,
        "failed_at": None,
        "refunded_at": None,
        "description": None,
        "pricing_unit_details": None,
        "item": {
            "type": "charge",
            "code": code,
            "name": f"All of {code}",
            "invoice_display_name": "Traffic",
            "filter_invoice_display_name": "Europe",
            "filters": {"region": ["eu"]},
            "lago_item_id": metric_id,
            "item_type": "BillableMetric",
            "grouped_by": {"team": "red"},
        },
        "applied_taxes": [],
    }


def test_there_is_a_fee_a_charge_that_is_paid_in_advance_and_none_for_the_others(
    shop: Shop,
) -> None:
    code, metric_id = metric(shop, "count_agg")
    price = {"billable_metric_id": metric_id, "charge_model": "standard"}
    subscription = user_of(
        shop,
        price | {"properties": {"amount": "1"}},
        price | {"properties": {"amount": "2"}, "code": "later", "pay_in_advance": False},
        price | {"properties": {"amount": "3"}, "code": "third"},
    )
    found = fees(shop, external_subscription_id=subscription, code=code)
    assert [(one["amount_cents"], one["units"]) for one in found] == [(100, "1.0"), (300, "1.0")]
    arrears = user_of(shop, price | {"properties": {"amount": "1"}, "pay_in_advance": False})
    assert fees(shop, external_subscription_id=arrears, code=code) == []
    unpriced, _ = metric(shop, "count_agg")
    assert fees(shop, external_subscription_id=subscription, code=unpriced) == []


def test_a_new_price_goes_on_from_what_was_used_before_it(shop: Shop) -> None:
    code, metric_id = metric(shop)
    plan = shop.unique("plan")
    linear = {"charge_model": "standard", "properties": {"amount": "1"}}
    shop.plan(plan, IN_ADVANCE | linear | {"billable_metric_id": metric_id})
    customer = shop.customer(plan, granted_credits="100")
    event = {"external_subscription_id": f"{customer}-0", "code": code, "properties": {"n": 4}}
    shop.charged(**event)
    graduated, _ = SERIES["graduated"]
    changed = {"charges": [IN_ADVANCE | graduated | {"billable_metric_id": metric_id}]}
    assert shop.api.put(f"/plans/{plan}", json={"plan": changed}).status_code == 200
    estimated = fee(shop, **event)
    (debit,) = shop.charged(**event)["debits"]
    assert estimated["precise_amount"] == debit["amount"]
    assert fee(shop, "estimate_instant_fees", **event)["amount_cents"] == 9


def test_a_member_is_counted_once(shop: Shop) -> None:
    code, metric_id = metric(shop, "unique_count_agg")
    price = {"charge_model": "standard", "properties": {"amount": "10"}}
    subscription = user_of(shop, price | {"billable_metric_id": metric_id})
    event = {"external_subscription_id": subscription, "code": code}
    ada: Json = event | {"properties": {"n": "ada"}}
    assert (fee(shop, **ada)["amount_cents"], fee(shop, **ada)["units"]) == (1000, "1.0")
    shop.charged(**ada)
    again = fee(shop, **ada)
    assert (again["amount_cents"], again["units"], again["precise_unit_amount"]) == (
        0,
        "0.0",
        "0.0",
    )
    assert fee(shop, "estimate_instant_fees", **ada)["amount_cents"] == 1000
    gone = fee(shop, **event, properties={"n": "ada", "operation_type": "remove"})
    assert (gone["amount_cents"], gone["units"]) == (0, "0.0")


@pytest.mark.parametrize("model", ["package", "percentage"])
def test_a_correction_costs_nothing(shop: Shop, model: str) -> None:
    charge, _ = SERIES[model]
    code, metric_id = metric(shop)
    subscription = user_of(shop, charge | {"billable_metric_id": metric_id})
    for which in ("estimate_fees", "estimate_instant_fees"):
        back = fee(
            shop, which, external_subscription_id=subscription, code=code, properties={"n": -3}
        )
        assert (back["amount_cents"], back["units"]) == (0, "0.0")


def test_the_asset_is_the_one_that_would_pay(shop: Shop) -> None:
    shop.ok("/assets", asset={"code": "GPU_HOUR", "name": "GPU hours", "kind": "unit"})
    code, metric_id = metric(shop)
    charge = {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "properties": {"amount": "1"},
        "asset_code": "GPU_HOUR",
        "alternatives": [{"asset_code": "USD", "properties": {"amount": "2.5"}}],
    }
    subscription = user_of(shop, charge, granted_credits="20")
    customer = subscription.removesuffix("-0")
    shop.wallet(customer, asset_code="GPU_HOUR", granted_credits="5")
    event = {"external_subscription_id": subscription, "code": code}
    hours = fee(shop, **event, properties={"n": "3.25"})
    assert (hours["asset_code"], hours["amount_currency"], hours["amount_cents"]) == (
        "GPU_HOUR",
        None,
        0,
    )
    assert hours["precise_amount"] == "3.25"
    dollars = fee(shop, **event, properties={"n": 6})
    assert (dollars["asset_code"], dollars["amount_cents"]) == ("USD", 1500)
    assert dollars["lago_charge_id"] == hours["lago_charge_id"]
    beyond = fee(shop, **event, properties={"n": 1000})
    assert (beyond["asset_code"], beyond["amount_cents"]) == ("USD", 250_000)
    instant = fee(shop, "estimate_instant_fees", **event, properties={"n": 1000})
    assert instant["asset_code"] == "GPU_HOUR"
    assert shop.balance(customer, "GPU_HOUR") == ("5", "0", "0")
    assert shop.balance(customer) == ("20", "0", "0")


def test_a_pricing_unit_is_rounded_before_it_is_money(shop: Shop) -> None:
    shop.ok("/assets", asset={"code": "CREDITS", "name": "Credits", "kind": "unit", "scale": 2})
    code, metric_id = metric(shop)
    charge = {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "properties": {"amount": "3.335"},
        "applied_pricing_unit": {"code": "CREDITS", "conversion_rate": "0.25"},
    }
    event = {"external_subscription_id": user_of(shop, charge), "code": code}
    shown = fee(shop, **event, properties={"n": 3})
    # 10.005 credits are 10.01, which are worth 2.5025 dollars.
    assert (shown["precise_amount"], shown["amount_cents"]) == ("2.5025", 250)
    assert shown["pricing_unit_details"] == {
        "lago_pricing_unit_id": None,
        "pricing_unit_code": "CREDITS",
        "short_name": "CREDITS",
        "amount_cents": 1001,
        "precise_amount_cents": "1000.5",
        "unit_amount_cents": 334,
        "precise_unit_amount": "3.335",
        "conversion_rate": "0.25",
    }


def test_an_expression_is_computed_and_the_prices_of_the_time_count(shop: Shop) -> None:
    code, metric_id = metric(
        shop, field_name="total", expression="event.properties.a * event.properties.b"
    )
    price = {"charge_model": "standard", "properties": {"amount": "1"}}
    subscription = user_of(shop, price | {"billable_metric_id": metric_id})
    event = {"external_subscription_id": subscription, "code": code}
    assert fee(shop, **event, properties={"a": 3, "b": "0.5"})["amount_cents"] == 150
    wrong = shop.post("/events/estimate_fees", event=event | {"properties": {"a": 3}})
    assert wrong.status_code == 422


# -- as if there were no usage ---------------------------------------------------------------------


@pytest.mark.parametrize("model", SERIES)
def test_an_instant_estimate_knows_no_usage(shop: Shop, model: str) -> None:
    charge, series = SERIES[model]
    code, metric_id = metric(shop)
    subscription = user_of(shop, charge | {"billable_metric_id": metric_id})
    event = {"external_subscription_id": subscription, "code": code}
    (units, cents), *_ = series
    for _ in range(2):
        first = fee(shop, "estimate_instant_fees", **event, properties={"n": units})
        assert first["amount_cents"] == cents
        shop.charged(**event, properties={"n": units})


def test_a_batch_is_priced_event_by_event_in_its_order(shop: Shop) -> None:
    charge, _ = SERIES["graduated"]
    code, metric_id = metric(shop)
    subscription = user_of(shop, charge | {"billable_metric_id": metric_id})
    events = [
        {
            "transaction_id": f"call-{units}",
            "external_subscription_id": subscription,
            "code": code,
            "properties": {"n": units},
        }
        for units in (3, 6, 3)
    ]
    found = shop.ok("/events/batch_estimate_instant_fees", events=events)["fees"]
    assert [(one["event_transaction_id"], one["amount_cents"]) for one in found] == [
        ("call-3", 7),
        ("call-6", 13),
        ("call-3", 7),
    ]


# -- what is wrong ---------------------------------------------------------------------------------

WRONG: list[tuple[Json, Json]] = [
    ({"code": None}, {"code": ["value_is_mandatory"]}),
    ({"code": "nobody-counts-this"}, {"code": ["billable_metric_not_found"]}),
    ({"code": "x" * 256}, {"code": ["value_is_too_long"]}),
    ({"code": "\x00"}, {"code": ["value_is_invalid"]}),
    (
        {"external_subscription_id": "nobody"},
        {"external_subscription_id": ["subscription_not_found"]},
    ),
    (
        {"external_subscription_id": None},
        {"external_subscription_id": ["subscription_not_found"]},
    ),
    (
        {"external_subscription_id": None, "external_customer_id": "nobody"},
        {"external_customer_id": ["customer_not_found"]},
    ),
    ({"properties": {}}, {"properties.n": ["value_is_mandatory"]}),
    ({"properties": {"n": "many"}}, {"properties.n": ["value_is_invalid"]}),
    ({"properties": {"n": True}}, {"properties.n": ["value_is_invalid"]}),
    ({"properties": {"n": "1e999999"}}, {"properties.n": ["value_is_invalid"]}),
    ({"properties": {"n": "9" * 30}}, {"properties": ["value_is_out_of_range"]}),
    ({"properties": [1]}, {"properties": ["value_is_invalid"]}),
    ({"timestamp": "yesterday"}, {"timestamp": ["invalid_format"]}),
    ({"timestamp": 1}, {"external_subscription_id": ["subscription_not_found"]}),
    (
        {"precise_total_amount_cents": "NaN"},
        {"precise_total_amount_cents": ["value_is_invalid"]},
    ),
]


@pytest.fixture(scope="module")
def event(shop: Shop) -> Json:
    """An event with a price."""
    code, metric_id = metric(shop)
    price = {"charge_model": "standard", "properties": {"amount": "1"}}
    subscription = user_of(shop, price | {"billable_metric_id": metric_id})
    return {"external_subscription_id": subscription, "code": code, "properties": {"n": 1}}


@pytest.mark.parametrize(("fields", "details"), WRONG)
def test_an_event_that_could_not_be_priced_is_refused_by_field(
    shop: Shop, event: Json, fields: Json, details: Json
) -> None:
    for which in ("estimate_fees", "estimate_instant_fees"):
        assert refused(shop.post(f"/events/{which}", event=event | fields)) == details


@pytest.mark.parametrize(("fields", "details"), WRONG)
def test_a_batch_names_what_is_wrong_by_index(
    shop: Shop, event: Json, fields: Json, details: Json
) -> None:
    answer = shop.post("/events/batch_estimate_instant_fees", events=[event, event | fields])
    by_index = {"1": details}
    if fields.get("code") == "\x00":  # found before anything is decoded
        by_index = {"1.code": ["value_is_invalid"]}
    assert refused(answer) == by_index


def test_a_batch_has_some_events_but_not_too_many(shop: Shop, event: Json) -> None:
    path = "/events/batch_estimate_instant_fees"
    assert refused(shop.post(path, events=[])) == {"events": ["no_events"]}
    assert refused(shop.post(path, events=[event] * 1_001)) == {"events": ["too_many_events"]}
    assert shop.post(path, event=event).status_code == 400
    assert shop.post("/events/estimate_fees", events=[event]).status_code == 400


def test_what_has_no_price_for_its_values_is_named(shop: Shop) -> None:
    code, metric_id = metric(shop, filters=[{"key": "model", "values": ["a", "b"]}])
    charge = {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "filters": [{"values": {"model": ["a"]}, "properties": {"amount": "1"}}],
    }
    event = {"external_subscription_id": user_of(shop, charge), "code": code}
    for properties, found in (
        ({"n": 1}, "value_is_mandatory"),
        ({"n": 1, "model": "b"}, "price_not_found"),
    ):
        answer = shop.post("/events/estimate_fees", event=event | {"properties": properties})
        assert refused(answer) == {"properties.model": [found]}
