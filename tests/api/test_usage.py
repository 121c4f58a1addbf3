"""Usage, as it is shown: current, past and projected, in Lago's numbers and our own.

Time cannot be moved from outside, so worked numbers of some month are read as past usage of a
subscription that began back then.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from invoicing import usage_rollups
from tests.api.conftest import NewShop, Service, open_account
from tests.api.market import Json, Shop, refused, standard


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    return await new_shop("usage")


Fold = Callable[[], Awaitable[None]]


@pytest.fixture
def fold(service: Service) -> Fold:
    """What the worker does every two seconds."""

    async def run() -> None:
        connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_worker"})
        try:
            has_more = True
            while has_more:
                async with connection.transaction():
                    has_more = (await usage_rollups.fold(connection, events_max=1000)).has_more
        finally:
            await connection.close()

    return run


def metric(shop: Shop, aggregation: str, **terms: Any) -> tuple[str, str]:
    """A metric over the property `n`: its code and id."""
    code = shop.unique("metric")
    body = {"name": code, "code": code, "aggregation_type": aggregation}
    if aggregation != "count_agg":
        body["field_name"] = "n"
    made = shop.ok("/billable_metrics", billable_metric=body | terms)["billable_metric"]
    return code, made["lago_id"]


def subscriber(shop: Shop, *charges: Json, since: str | None = None, **wallet: Any) -> str:
    """A customer with a subscription of the same name, from some day on, to a plan of its own."""
    plan = shop.unique("plan")
    shop.plan(plan, *charges)
    customer = shop.customer(**wallet)
    terms = {"external_id": customer, "external_customer_id": customer, "plan_code": plan}
    if since:
        terms["subscription_at"] = f"{since}T00:00:00Z"
    shop.ok("/subscriptions", subscription=terms)
    return customer


def seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp())


def use(shop: Shop, customer: str, code: str, *quantities: Any, at: str | None = None) -> None:
    """Report usage, one event a quantity; a dict is all the properties."""
    for quantity in quantities:
        terms = {"timestamp": seconds(at)} if at else {}
        properties = quantity if isinstance(quantity, dict) else {"n": quantity}
        event = shop.charged(
            external_subscription_id=customer, code=code, properties=properties, **terms
        )
        assert event["rating_status"] in {"rated", "postpaid"}, event


def ask(shop: Shop, customer: str, which: str = "current", **terms: Any) -> httpx.Response:
    params = {"external_subscription_id": customer} | terms
    return shop.api.get(f"/customers/{customer}/{which}_usage", params=params)


def current(shop: Shop, customer: str, **terms: Any) -> Json:
    answer = ask(shop, customer, **terms)
    assert answer.status_code == 200, answer.text
    return answer.json()["customer_usage"]


def month(shop: Shop, customer: str, first_day: str) -> Json:
    """The past period of a month."""
    then, now = datetime.fromisoformat(first_day), datetime.now(UTC)
    back = (now.year - then.year) * 12 + now.month - then.month
    answer = ask(shop, customer, "past", per_page=1, page=back)
    assert answer.status_code == 200, answer.text
    (period,) = answer.json()["usage_periods"]
    return period


def only(usage: Json) -> Json:
    """The one charge of it."""
    (charge,) = usage["charges_usage"]
    return charge


# -- aggregations


@pytest.mark.parametrize(
    ("aggregation", "units"),
    [("count_agg", "2.0"), ("sum_agg", "30.0"), ("max_agg", "20.0"), ("latest_agg", "20.0")],
)
async def test_two_page_views_are_added_up_as_the_metric_says(
    shop: Shop, fold: Fold, aggregation: str, units: str
) -> None:
    """Source: lago.md §3.1, lago-docs aggregation-examples.md."""
    code, metric_id = metric(shop, aggregation)
    customer = subscriber(shop, standard(metric_id, "1"))
    use(shop, customer, code, 10, 20)
    for _ in range(2):
        charge = only(current(shop, customer))
        assert (charge["units"], charge["events_count"]) == (units, 2)
        assert charge["amount_cents"] == int(Decimal(units) * 100)
        await fold()


async def test_one_user_twice_is_one_user(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.1, lago-docs aggregation-examples.md."""
    code, metric_id = metric(shop, "unique_count_agg")
    customer = subscriber(shop, standard(metric_id, "1"))
    use(shop, customer, code, "ada", "ada")
    for _ in range(2):
        charge = only(current(shop, customer))
        assert (charge["units"], charge["events_count"], charge["amount_cents"]) == ("1.0", 2, 100)
        await fold()
    use(shop, customer, code, "bob", {"n": "ada", "operation_type": "remove"}, "cyd")
    for _ in range(2):
        assert only(current(shop, customer))["units"] == "2.0"
        await fold()


async def test_a_weighted_sum_weighs_by_the_time_that_is_left(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.1, weighted_sum_service_spec.rb: August."""
    code, metric_id = metric(shop, "weighted_sum_agg", weighted_interval="seconds")
    customer = subscriber(shop, standard(metric_id, "1"), since="2025-08-01")
    for time, quantity in (
        ("00:00", 2), ("01:00", 3), ("01:30", 1), ("02:00", -4),
        ("04:00", -2), ("05:00", 10), ("05:30", -10),
    ):  # fmt: skip
        use(shop, customer, code, quantity, at=f"2025-08-01T{time}")
    for _ in range(2):
        charge = only(month(shop, customer, "2025-08-01"))
        assert charge["units"].startswith("0.02217")
        assert (charge["total_aggregated_units"], charge["amount_cents"]) == ("0.0", 2)
        await fold()


async def test_a_recurring_weighted_sum_begins_with_what_was_there(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.1, weighted_sum_agg_spec.rb: 217,742, then 53,333."""
    code, metric_id = metric(shop, "weighted_sum_agg", weighted_interval="seconds", recurring=True)
    customer = subscriber(shop, standard(metric_id, "1"), since="2025-03-05")
    use(shop, customer, code, 2500, at="2025-03-05")
    use(shop, customer, code, -2000, at="2025-04-04")
    use(shop, customer, code, -200, at="2025-04-06")
    for _ in range(2):
        first = only(month(shop, customer, "2025-03-01"))
        assert first["amount_cents"] == 217_742
        assert first["units"].startswith("2177.419354838")
        second = only(month(shop, customer, "2025-04-01"))
        assert second["amount_cents"] == 53_333
        assert (second["units"][:7], second["total_aggregated_units"]) == ("533.333", "300.0")
        assert only(month(shop, customer, "2025-05-01"))["amount_cents"] == 30_000  # idle
        await fold()


async def test_a_prorated_seat_costs_its_days(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.1, unique_count_agg_spec.rb: 7 of 29 days, and 24 after the removal."""
    code, metric_id = metric(shop, "unique_count_agg", recurring=True)
    seat = standard(metric_id, "1", prorated=True, pay_in_advance=True)
    customer = subscriber(shop, seat, since="2024-02-01")
    use(shop, customer, code, "ada", at="2024-02-23T10:00:00")
    for _ in range(2):
        charge = only(month(shop, customer, "2024-02-01"))
        assert (charge["units"], charge["amount_cents"]) == ("1.0", 24)
        await fold()
    use(shop, customer, code, {"n": "ada", "operation_type": "remove"}, at="2024-02-29T10:00:00")
    charge = only(month(shop, customer, "2024-02-01"))
    assert (charge["units"], charge["amount_cents"]) == ("0.0", 24)


# -- charge models


async def test_a_graduated_price_of_seats_by_the_day(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.2, prorated_graduated_spec.rb: 114.00 … 389.35."""
    code, metric_id = metric(shop, "sum_agg", recurring=True)
    ranges = [
        {"from_value": 0, "to_value": 5, "per_unit_amount": "10", "flat_amount": "100"},
        {"from_value": 6, "to_value": 15, "per_unit_amount": "5", "flat_amount": "50"},
        {"from_value": 16, "to_value": None, "per_unit_amount": "2", "flat_amount": "0"},
    ]
    charge = {
        "billable_metric_id": metric_id,
        "charge_model": "graduated",
        "prorated": True,
        "properties": {"graduated_ranges": ranges},
    }
    customer = subscriber(shop, charge, since="2023-09-01")
    for day, seats, cents in (
        (10, 2, 11_400), (16, 5, 18_400), (20, -6, 16_567),
        (25, 10, 17_967), (26, 4, 18_300), (30, 60, 18_700),
    ):  # fmt: skip
        use(shop, customer, code, seats, at=f"2023-09-{day}T12:00:00")
        assert month(shop, customer, "2023-09-01")["amount_cents"] == cents
        await fold()
    assert month(shop, customer, "2023-10-01")["amount_cents"] == 37_000  # idle
    use(shop, customer, code, 20, at="2023-10-17T12:00:00")
    assert month(shop, customer, "2023-10-01")["amount_cents"] == 38_935


async def test_a_free_tier_ends_with_the_event_that_exceeds_it(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.2, percentage: 1 %, 5 an event, 15 free units."""
    code, metric_id = metric(shop, "sum_agg")
    percentage = {
        "billable_metric_id": metric_id,
        "charge_model": "percentage",
        "properties": {
            "rate": "1",
            "fixed_amount": "5",
            "free_units_per_total_aggregation": "15",
        },
    }
    customer = subscriber(shop, percentage)
    for quantity, cents in ((4, 0), (4, 0), (4, 0), (4, 501), (10, 1011)):
        use(shop, customer, code, quantity)
        assert current(shop, customer)["amount_cents"] == cents
        await fold()


async def test_a_price_that_events_bring_is_added_up(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §3.2, dynamic: 10.1 c + 901.9 c."""
    code, metric_id = metric(shop, "sum_agg")
    dynamic = {"billable_metric_id": metric_id, "charge_model": "dynamic", "properties": {}}
    customer = subscriber(shop, dynamic)
    for cents in ("10.1", "901.9"):
        shop.charged(
            external_subscription_id=customer,
            code=code,
            properties={"n": 1},
            precise_total_amount_cents=cents,
        )
    for _ in range(2):
        charge = only(current(shop, customer))
        assert (charge["amount_cents"], charge["amount"]) == (912, "9.12")
        await fold()


async def test_prices_that_events_bring_in_advance_do_not_make_up_for_each_other(
    shop: Shop, fold: Fold
) -> None:
    """Source: lago.md §3.2, dynamic: in advance, each event on its own."""
    code, metric_id = metric(shop, "sum_agg")
    dynamic = {"billable_metric_id": metric_id, "charge_model": "dynamic", "properties": {}}
    for in_advance, cents in ((True, 800), (False, 600)):
        charge = dynamic | {"pay_in_advance": in_advance}
        customer = subscriber(shop, charge, granted_credits="100")
        for brought in ("500", "-200", "300"):
            shop.charged(
                external_subscription_id=customer,
                code=code,
                properties={"n": 1},
                precise_total_amount_cents=brought,
            )
        for _ in range(2):
            told = only(current(shop, customer))
            assert (told["amount_cents"], told["debited_amount"]) == (cents, "8")
            assert Decimal(told["true_up_amount"]) == Decimal(cents - 800) / 100
            await fold()


# -- filters, groups, presentation


async def test_each_filter_is_a_fee_and_rounded_on_its_own(shop: Shop, fold: Fold) -> None:
    code = shop.unique("metric")
    metric_id = shop.metric(code, field="n", model=["gpt", "o3", "r1"])
    filters = [
        {"values": {"model": ["gpt"]}, "properties": {"amount": "0.005"}},
        {"values": {"model": ["o3"]}, "properties": {"amount": "0.005"}},
    ]
    customer = subscriber(shop, standard(metric_id, "0.005", filters=filters))
    use(shop, customer, code, *({"n": 1, "model": model} for model in ("gpt", "o3", "r1")))
    for _ in range(2):
        usage = current(shop, customer)
        charge = only(usage)
        assert [(one["values"], one["amount_cents"]) for one in charge["filters"]] == [
            ({"model": ["gpt"]}, 1),
            ({"model": ["o3"]}, 1),
            ({}, 1),
        ]
        assert (usage["amount_cents"], charge["amount"]) == (3, "0.015")
        await fold()


async def test_each_group_has_the_price_to_itself(shop: Shop, fold: Fold) -> None:
    """Source: lago.md §8, unique_count_agg_spec.rb: three groups, 300."""
    code, metric_id = metric(shop, "unique_count_agg")
    by_region = standard(metric_id, "1")
    by_region["properties"] = {"amount": "1", "pricing_group_keys": ["region"]}
    customer = subscriber(shop, by_region)
    for region in ("eu", "us", None):
        use(shop, customer, code, {"n": "ada", "region": region}, {"n": "ada", "region": region})
    for _ in range(2):
        charge = only(current(shop, customer))
        assert (charge["amount_cents"], charge["units"], charge["filters"]) == (300, "3.0", [])
        groups = {one["grouped_by"]["region"]: one for one in charge["grouped_usage"]}
        assert set(groups) == {"eu", "us", None}
        assert {one["amount_cents"] for one in groups.values()} == {100}
        assert groups["eu"]["events_count"] == 2
        for terms in ({"group[region]": "eu"}, {"filter_by_group": '{"region": "eu"}'}):
            (group,) = only(current(shop, customer, **terms))["grouped_usage"]
            assert (group["grouped_by"], group["amount_cents"]) == ({"region": "eu"}, 100)
        await fold()


async def test_presentation_groups_break_units_down_and_have_no_price(
    shop: Shop, fold: Fold
) -> None:
    code, metric_id = metric(shop, "sum_agg")
    package = {
        "billable_metric_id": metric_id,
        "charge_model": "package",
        "properties": {
            "amount": "1",
            "package_size": 10,
            "presentation_group_keys": [{"value": "team"}, {"value": "user"}],
        },
    }
    customer = subscriber(shop, package)
    for team, user, quantity in (("a", "ada", 3), ("a", "bob", 4), ("b", None, 2)):
        use(shop, customer, code, {"n": quantity, "team": team, "user": user})
    for _ in range(2):
        charge = only(current(shop, customer))
        assert (charge["units"], charge["amount_cents"]) == ("9.0", 100)  # one package for all
        assert charge["presentation_breakdowns"] == [
            {"presentation_by": {"team": "a", "user": "ada"}, "units": "3.0"},
            {"presentation_by": {"team": "a", "user": "bob"}, "units": "4.0"},
            {"presentation_by": {"team": "b", "user": ""}, "units": "2.0"},
        ]
        by_team = only(current(shop, customer, filter_by_presentation="team"))
        assert by_team["presentation_breakdowns"] == [
            {"presentation_by": {"team": "a"}, "units": "7.0"},
            {"presentation_by": {"team": "b"}, "units": "2.0"},
        ]
        await fold()


# -- money


async def test_what_was_debited_and_what_is_left_are_told_apart(shop: Shop, fold: Fold) -> None:
    code, metric_id = metric(shop, "sum_agg")
    volume = {
        "billable_metric_id": metric_id,
        "charge_model": "volume",
        "properties": {
            "volume_ranges": [
                {"from_value": 0, "to_value": 10, "per_unit_amount": "2", "flat_amount": "0"},
                {"from_value": 11, "to_value": None, "per_unit_amount": "1", "flat_amount": "0"},
            ]
        },
    }
    prepaid = subscriber(shop, volume, granted_credits="100")
    postpaid = subscriber(shop, volume)
    for customer in (prepaid, postpaid):
        use(shop, customer, code, 10, 2)
    for _ in range(2):
        charge = only(current(shop, prepaid))
        told = charge["amount"], charge["debited_amount"], charge["true_up_amount"]
        assert told == ("12", "20", "-8")  # it got cheaper on the way
        charge = only(current(shop, postpaid))
        told = charge["amount"], charge["debited_amount"], charge["true_up_amount"]
        assert told == ("12", "0", "12")
        await fold()


async def test_a_reversed_event_is_as_if_it_had_never_been(shop: Shop, fold: Fold) -> None:
    code, metric_id = metric(shop, "max_agg")
    customer = subscriber(shop, standard(metric_id, "1"), granted_credits="100")
    use(shop, customer, code, 3)
    key = shop.unique("event")
    shop.charged(
        transaction_id=key, external_subscription_id=customer, code=code, properties={"n": 7}
    )
    await fold()
    assert only(current(shop, customer))["units"] == "7.0"
    shop.ok(f"/events/{key}/reverse", reverse={"transaction_id": shop.unique("reversal")})
    for _ in range(2):
        charge = only(current(shop, customer))
        assert (charge["units"], charge["events_count"]) == ("3.0", 1)
        assert (charge["debited_amount"], charge["true_up_amount"]) == ("3", "0")
        await fold()


async def test_a_reversal_takes_back_the_price_that_an_event_brought(
    shop: Shop, fold: Fold
) -> None:
    code, metric_id = metric(shop, "sum_agg")
    dynamic = {"billable_metric_id": metric_id, "charge_model": "dynamic", "properties": {}}
    customer = subscriber(shop, dynamic)
    keys = [shop.unique("event") for _ in range(2)]
    for key, cents in zip(keys, ("912.3", "500.1"), strict=True):
        shop.charged(
            transaction_id=key,
            external_subscription_id=customer,
            code=code,
            properties={"n": 1},
            precise_total_amount_cents=cents,
        )
    shop.ok(f"/events/{keys[1]}/reverse", reverse={"transaction_id": shop.unique("reversal")})
    for _ in range(2):
        assert only(current(shop, customer))["amount"] == "9.123"
        await fold()


async def test_who_left_later_was_there_in_a_month_without_events(shop: Shop, fold: Fold) -> None:
    code, metric_id = metric(shop, "unique_count_agg", recurring=True)
    customer = subscriber(shop, standard(metric_id, "1"), since="2026-01-01")
    use(shop, customer, code, "ada", "bob", at="2026-02-10")
    use(shop, customer, code, {"n": "ada", "operation_type": "remove"}, at="2026-04-10")
    for _ in range(2):
        units = [only(month(shop, customer, f"2026-0{number}-01"))["units"] for number in (2, 3, 4)]
        assert units == ["2.0", "2.0", "1.0"]
        await fold()


async def test_usage_of_native_units_is_no_money(shop: Shop, fold: Fold) -> None:
    code, metric_id = metric(shop, "sum_agg")
    shop.ok("/assets", asset={"code": "GPU_SECOND", "name": "GPU seconds", "kind": "unit"})
    native = standard(metric_id, "0.5", asset_code="GPU_SECOND")
    customer = subscriber(shop, native)
    use(shop, customer, code, 5)
    for _ in range(2):
        usage = current(shop, customer)
        charge = only(usage)
        assert (charge["amount"], charge["asset_code"]) == ("2.5", "GPU_SECOND")
        assert (charge["amount_cents"], usage["amount_cents"]) == (0, 0)
        assert charge["amount_currency"] == usage["currency"] == "USD"
        await fold()


def test_what_was_paid_in_an_alternative_asset_is_a_line_of_its_own(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    shop.ok("/assets", asset={"code": "GPU_HOUR", "name": "GPU hours", "kind": "unit"})
    in_money = {"asset_code": "USD", "charge_model": "standard", "properties": {"amount": "2"}}
    hours = standard(metric_id, "1", asset_code="GPU_HOUR", alternatives=[in_money])
    customer = subscriber(shop, hours, granted_credits="100")
    shop.wallet(customer, currency=None, asset_code="GPU_HOUR", granted_credits="3")
    use(shop, customer, code, 3, 4)
    native, money = current(shop, customer)["charges_usage"]
    assert (native["asset_code"], native["amount"], native["amount_cents"]) == ("GPU_HOUR", "3", 0)
    assert (money["asset_code"], money["amount"], money["amount_cents"]) == ("USD", "8", 800)
    assert native["charge"]["lago_id"] == money["charge"]["lago_id"]
    assert {native["true_up_amount"], money["true_up_amount"]} == {"0"}


async def test_usage_of_a_pricing_unit_is_shown_in_both(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    shop.ok("/assets", asset={"code": "CREDIT", "name": "Credits", "kind": "unit", "scale": 2})
    unit = {"code": "CREDIT", "conversion_rate": "0.25"}
    customer = subscriber(shop, standard(metric_id, "1.5", applied_pricing_unit=unit))
    use(shop, customer, code, 3)
    charge = only(current(shop, customer))
    assert (charge["amount_cents"], charge["amount"]) == (113, "1.125")
    assert charge["pricing_unit_details"] == {
        "amount_cents": 450,
        "short_name": "CREDIT",
        "conversion_rate": "0.25",
    }


async def test_a_change_of_price_counts_from_when_it_was_made(shop: Shop, fold: Fold) -> None:
    code, metric_id = metric(shop, "sum_agg")
    plan = shop.unique("plan")
    (charge,) = shop.plan(plan, standard(metric_id, "1"))["charges"]
    customer = shop.customer(plan)
    use(shop, f"{customer}-0", code, 10)
    change = standard(metric_id, "2", id=charge["lago_id"])
    answer = shop.api.put(f"/plans/{plan}", json={"plan": {"charges": [change]}})
    assert answer.status_code == 200, answer.text
    use(shop, f"{customer}-0", code, 10)
    for _ in range(2):
        answer = shop.api.get(
            f"/customers/{customer}/current_usage",
            params={"external_subscription_id": f"{customer}-0"},
        )
        usage = answer.json()["customer_usage"]
        assert (usage["amount_cents"], only(usage)["units"]) == (3000, "20.0")
        await fold()


# -- periods


def test_a_charge_without_usage_is_listed(shop: Shop) -> None:
    _, metric_id = metric(shop, "sum_agg")
    customer = subscriber(shop, standard(metric_id, "1"))
    usage = current(shop, customer)
    charge = only(usage)
    assert (charge["units"], charge["events_count"], charge["amount_cents"]) == ("0.0", 0, 0)
    assert (charge["filters"], charge["grouped_usage"]) == ([], [])
    assert (usage["amount_cents"], usage["total_amount_cents"]) == (0, 0)


def test_usage_belongs_to_the_period_of_its_time(shop: Shop) -> None:
    code, metric_id = metric(shop, "count_agg")
    customer = subscriber(shop, standard(metric_id, "1"), since="2025-01-15")
    use(shop, customer, code, {}, at="2025-02-28T23:59:59")
    use(shop, customer, code, {}, {}, at="2025-03-01T00:00:00")
    assert only(month(shop, customer, "2025-02-01"))["events_count"] == 1
    assert only(month(shop, customer, "2025-03-01"))["events_count"] == 2
    assert only(current(shop, customer))["events_count"] == 0
    whole = current(shop, customer, full_usage="true")
    assert (only(whole)["events_count"], whole["from_datetime"]) == (3, "2025-01-15T00:00:00Z")
    first = month(shop, customer, "2025-01-01")
    assert (first["from_datetime"], first["to_datetime"]) == (
        "2025-01-15T00:00:00Z",
        "2025-01-31T23:59:59Z",
    )


def test_a_terminated_subscription_has_past_usage_alone(shop: Shop) -> None:
    code, metric_id = metric(shop, "count_agg")
    customer = subscriber(shop, standard(metric_id, "1"))
    use(shop, customer, code, {})
    shop.api.delete(f"/subscriptions/{customer}")
    assert refused(ask(shop, customer), 405) == "no_active_subscription"
    answer = ask(shop, customer, "past")
    (period,) = answer.json()["usage_periods"]
    assert only(period)["events_count"] == 1
    assert answer.json()["meta"]["total_count"] == 1


def test_a_projection_grows_with_the_days(shop: Shop) -> None:
    code, metric_id = metric(shop, "sum_agg")
    peak, peak_id = metric(shop, "max_agg")
    customer = subscriber(shop, standard(metric_id, "0.01"), standard(peak_id, "1"))
    use(shop, customer, code, 300)
    use(shop, customer, peak, 4)
    answer = ask(shop, customer, "projected")
    usage = answer.json()["customer_projected_usage"]
    first, last = (datetime.fromisoformat(usage[name]) for name in ("from_datetime", "to_datetime"))
    days = (last.date() - first.date()).days + 1
    passed = (datetime.now(UTC).date() - first.date()).days + 1
    growing, staying = usage["charges_usage"]
    assert Decimal(growing["projected_units"]) == pytest.approx(Decimal(300 * days) / passed)
    assert growing["projected_amount_cents"] == round(300 * days / passed)
    assert (staying["projected_units"], staying["projected_amount_cents"]) == ("4.0", 400)
    total = growing["projected_amount_cents"] + 400
    assert (usage["amount_cents"], usage["projected_amount_cents"]) == (700, total)


# -- bad input


@pytest.mark.parametrize("which", ["current", "past", "projected"])
def test_the_subscription_must_be_named(shop: Shop, which: str) -> None:
    customer = shop.customer()
    answer = shop.api.get(f"/customers/{customer}/{which}_usage")
    assert refused(answer) == {"external_subscription_id": ["value_is_mandatory"]}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"charge_id": "no-id"}, "charge_id"),
        ({"filter_by_charge_id": "no-id"}, "filter_by_charge_id"),
        ({"full_usage": "maybe"}, "full_usage"),
        ({"filter_by_group": "eu"}, "filter_by_group"),
        ({"filter_by_group": "[1]"}, "filter_by_group"),
        ({"filter_by_group": '{"region": 1}'}, "filter_by_group"),
        ({"filter_by_group": "[" * 4000}, "filter_by_group"),
        ({"filter_by_presentation": "[1]"}, "filter_by_presentation"),
        ({"filter_by_presentation": "[]"}, "filter_by_presentation"),
        ({"filter_by_presentation": "["}, "filter_by_presentation"),
        ({f"group[{number}]": "x" for number in range(21)}, "group"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(shop: Shop, terms: Json, field: str) -> None:
    _, metric_id = metric(shop, "sum_agg")
    customer = subscriber(shop, standard(metric_id, "1"))
    assert set(refused(ask(shop, customer, **terms))) == {field}


def test_a_page_of_periods_is_bounded(shop: Shop) -> None:
    _, metric_id = metric(shop, "sum_agg")
    customer = subscriber(shop, standard(metric_id, "1"), since="1970-01-01")
    answer = ask(shop, customer, "past", per_page=101)
    assert refused(answer) == {"per_page": ["value_is_out_of_range"]}
    assert len(ask(shop, customer, "past", per_page=3, page=100).json()["usage_periods"]) == 3
    assert ask(shop, customer, "past", per_page=100, page=100).json()["usage_periods"] == []


@pytest.mark.parametrize("count", ["0", "-1", "x", "1e9", "100000000000000000000"])
def test_periods_are_counted_from_one(shop: Shop, count: str) -> None:
    _, metric_id = metric(shop, "sum_agg")
    customer = subscriber(shop, standard(metric_id, "1"))
    assert "periods_count" in json.dumps(refused(ask(shop, customer, "past", periods_count=count)))


def test_an_unknown_charge_has_no_usage(shop: Shop) -> None:
    _, metric_id = metric(shop, "sum_agg")
    customer = subscriber(shop, standard(metric_id, "1"))
    unknown = "00000000-0000-0000-0000-000000000000"
    assert current(shop, customer, charge_id=unknown)["charges_usage"] == []


def test_astronomic_units_are_shown_and_break_nothing(shop: Shop) -> None:
    code, metric_id = metric(shop, "latest_agg")
    price = "999999999999999999.999999999999999999999999999999"
    customer = subscriber(shop, standard(metric_id, price))
    use(shop, customer, code, "9" * 30 + ".999999999999999999")
    charge = only(current(shop, customer))
    assert Decimal(charge["amount"]) > Decimal("9e47")
    assert ask(shop, customer, "projected").status_code == 200


async def test_a_key_without_the_scope_reads_no_usage(service: Service) -> None:
    _, key = await open_account(service.dsn, "Scopes", scopes=["customers:read"])
    url = f"{service.url}/api/v1/customers/x/current_usage"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.get(url, headers={"Authorization": f"Bearer {key}"})
    assert refused(answer, 403) == "read_action_not_allowed_for_usage"
