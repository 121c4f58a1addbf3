"""Charges of every model with every option, as clients make and see them; what is ours of them."""

from typing import Any

import pytest

from tests.api.conftest import NewShop
from tests.api.market import Json, Shop, refused

RANGES = [
    {"from_value": 0, "to_value": 10, "per_unit_amount": "2", "flat_amount": "1"},
    {"from_value": 11, "to_value": None, "per_unit_amount": "1", "flat_amount": "0"},
]
RATES = [
    {"from_value": 0, "to_value": 10, "rate": "1", "flat_amount": "200"},
    {"from_value": 11, "to_value": None, "rate": "2.5", "flat_amount": "0"},
]
PROPERTIES: dict[str, Json] = {
    "standard": {"amount": "0.05"},
    "graduated": {"graduated_ranges": RANGES},
    "graduated_percentage": {"graduated_percentage_ranges": RATES},
    "package": {"amount": "5", "package_size": 100, "free_units": 10},
    "percentage": {
        "rate": "1.3",
        "fixed_amount": "2",
        "free_units_per_events": 3,
        "free_units_per_total_aggregation": "250",
        "per_transaction_min_amount": "1",
        "per_transaction_max_amount": "9",
    },
    "volume": {"volume_ranges": RANGES},
    "dynamic": {},
}
TERMS = {"interval": "monthly", "amount_cents": 0, "amount_currency": "USD"}


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    shop = await new_shop("charges")
    shop.metric("units", field="n", region=["eu", "us"])
    shop.metric("calls")
    seats = {"name": "Seats", "code": "seats", "aggregation_type": "unique_count_agg"}
    shop.ok("/billable_metrics", billable_metric=seats | {"field_name": "id", "recurring": True})
    for code in ("GPU_HOUR", "CREDIT", "TOKEN", "A1", "A2", "A3", "A4", "A5", "A6"):
        shop.ok("/assets", asset={"code": code, "name": code, "kind": "unit", "scale": 4})
    return shop


@pytest.fixture
def plan(shop: Shop) -> str:
    return shop.plan(shop.unique("plan"))["code"]


def priced(model: str = "standard", **terms: Any) -> Json:
    """A charge for units."""
    known = {"billable_metric_code": "units", "charge_model": model}
    return known | {"properties": PROPERTIES[model]} | terms


def add(shop: Shop, plan: str, **charge: Any) -> Json:
    return shop.ok(f"/plans/{plan}/charges", charge=charge)["charge"]


@pytest.mark.parametrize("model", sorted(PROPERTIES))
def test_every_model_is_kept_as_it_was_given(shop: Shop, plan: str, model: str) -> None:
    added = add(shop, plan, **priced(model))
    assert (added["charge_model"], added["properties"]) == (model, PROPERTIES[model])
    path = f"/plans/{plan}/charges/units"
    assert shop.api.get(path).json()["charge"] == added
    again = shop.api.put(path, json={"charge": {"properties": added["properties"]}}).json()
    assert again["charge"] == added
    assert shop.api.get(f"/plans/{plan}").json()["plan"]["version"] == 2
    body = {"filter": {"values": {"region": ["eu"]}, "properties": PROPERTIES[model]}}
    entry = shop.ok(f"{path}/filters", **body)["filter"]
    assert entry["properties"] == PROPERTIES[model]


@pytest.mark.parametrize("model", sorted(PROPERTIES))
def test_every_model_prices_usage_under_the_options_that_it_allows(shop: Shop, model: str) -> None:
    terms = {"pay_in_advance": True, "invoiceable": False, "regroup_paid_fees": "invoice"}
    if model == "volume":
        terms = {"min_amount_cents": 500}
    plan = shop.plan(shop.unique("plan"), priced(model, **terms))["code"]
    customer = shop.customer(plan, granted_credits="1000")
    event = {"external_customer_id": customer, "code": "units", "properties": {"n": 2000}}
    charged = shop.charged(**event, precise_total_amount_cents="123.4")
    assert charged["rating_status"] == "rated"
    assert charged["debits"][0]["asset_code"] == "USD"


def test_a_charge_sent_twice_is_added_twice_unless_it_has_a_code(shop: Shop, plan: str) -> None:
    """As in Lago; a key of the request makes no difference: only what moves money has one."""
    charge = {"billable_metric_code": "seats", "charge_model": "standard"}
    charge |= {"properties": {"amount": "1"}}
    path, key = f"/plans/{plan}/charges", {"Idempotency-Key": shop.unique("key")}
    first, second = (shop.ok(path, key, charge=charge)["charge"]["code"] for _ in range(2))
    assert first != second
    named = charge | {"code": shop.unique("seats")}
    shop.ok(path, charge=named)
    assert refused(shop.post(path, charge=named)) == {"code": ["value_already_exist"]}


def test_another_model_needs_other_properties_and_filters(shop: Shop, plan: str) -> None:
    eu = {"values": {"region": ["eu"]}, "properties": {"amount": "1"}}
    added = add(shop, plan, **priced(filters=[eu]))
    path = f"/plans/{plan}/charges/units"
    answer = shop.api.put(path, json={"charge": {"charge_model": "package"}})
    assert refused(answer) == {"properties": ["value_is_mandatory"]}
    package = {"charge_model": "package", "properties": PROPERTIES["package"]}
    changed = shop.api.put(path, json={"charge": package}).json()["charge"]
    assert (changed["lago_id"], changed["filters"]) == (added["lago_id"], [])
    dearer = {"charge_model": "standard", "filters": [eu]}
    changed = shop.api.put(path, json={"charge": dearer}).json()["charge"]
    assert (changed["properties"], len(changed["filters"])) == ({}, 1)


def test_keys_to_group_by_are_read_under_both_names_and_shown_under_one(
    shop: Shop, plan: str
) -> None:
    given = {"amount": "1", "grouped_by": ["region", "team"], "presentation_group_keys": ["user"]}
    added = add(shop, plan, **priced(properties=given))
    shown = {
        "amount": "1",
        "pricing_group_keys": ["region", "team"],
        "presentation_group_keys": [{"value": "user", "options": {"display_in_invoice": True}}],
    }
    assert added["properties"] == shown
    path = f"/plans/{plan}/charges/units"
    hidden = [{"value": "user", "options": {"display_in_invoice": False}}]
    given = shown | {"presentation_group_keys": hidden}
    changed = shop.api.put(path, json={"charge": {"properties": given}}).json()["charge"]
    assert changed["properties"] == given
    named = shop.api.put(path, json={"charge": {"invoice_display_name": "x"}}).json()["charge"]
    assert named["properties"] == given
    cleared = shop.api.put(path, json={"charge": {"properties": {"amount": "1"}}}).json()["charge"]
    assert cleared["properties"] == {"amount": "1"}


@pytest.mark.parametrize(
    ("properties", "field", "code"),
    [
        ({"pricing_group_keys": "region"}, "pricing_group_keys", "value_is_invalid"),
        ({"pricing_group_keys": [""]}, "pricing_group_keys", "value_is_invalid"),
        ({"pricing_group_keys": [1]}, "pricing_group_keys", "value_is_invalid"),
        ({"pricing_group_keys": ["x" * 256]}, "pricing_group_keys", "value_is_invalid"),
        ({"pricing_group_keys": ["a", "a"]}, "pricing_group_keys", "value_is_duplicated"),
        (
            {"pricing_group_keys": [str(number) for number in range(21)]},
            "pricing_group_keys",
            "invalid_count",
        ),
        ({"grouped_by": {}}, "grouped_by", "value_is_invalid"),
        ({"presentation_group_keys": "a"}, "presentation_group_keys", "value_is_invalid"),
        ({"presentation_group_keys": [{}]}, "presentation_group_keys", "value_is_invalid"),
        ({"presentation_group_keys": [[]]}, "presentation_group_keys", "value_is_invalid"),
        (
            {"presentation_group_keys": [{"value": "a", "options": 5}]},
            "presentation_group_keys",
            "value_is_invalid",
        ),
        (
            {"presentation_group_keys": [{"value": "a", "options": {"display_in_invoice": "x"}}]},
            "presentation_group_keys",
            "value_is_invalid",
        ),
        ({"presentation_group_keys": ["a", "a"]}, "presentation_group_keys", "value_is_duplicated"),
        ({"presentation_group_keys": ["a", "b", "c"]}, "presentation_group_keys", "invalid_count"),
        ({"graduated_ranges": {}}, "graduated_ranges", "invalid_graduated_ranges"),
        ({"graduated_ranges": [5]}, "graduated_ranges", "invalid_graduated_ranges"),
        ({"graduated_ranges": RANGES[:1]}, "graduated_ranges", "invalid_graduated_ranges"),
        ({"graduated_ranges": RANGES * 501}, "graduated_ranges", "invalid_graduated_ranges"),
        (
            {"graduated_ranges": [RANGES[0] | {"to_value": "NaN"}, RANGES[1]]},
            "graduated_ranges",
            "invalid_graduated_ranges",
        ),
        (
            {"graduated_ranges": [RANGES[0] | {"per_unit_amount": "-1"}, RANGES[1]]},
            "per_unit_amount",
            "invalid_amount",
        ),
    ],
)
def test_properties_that_are_wrong_are_named(
    shop: Shop, plan: str, properties: Json, field: str, code: str
) -> None:
    given = priced("graduated") | {"properties": {"graduated_ranges": RANGES} | properties}
    answer = shop.post(f"/plans/{plan}/charges", charge=given)
    assert refused(answer) == {f"properties.{field}": [code]}


def test_ranges_may_have_decimal_bounds_and_numbers_for_prices(shop: Shop, plan: str) -> None:
    ranges = [
        {"from_value": 0.0, "to_value": 0.1, "per_unit_amount": 10, "flat_amount": 0.5},
        {"from_value": "0.1", "to_value": None, "per_unit_amount": "5", "flat_amount": "0"},
    ]
    added = add(shop, plan, **priced("graduated", properties={"graduated_ranges": ranges}))
    assert added["properties"]["graduated_ranges"] == [
        {"from_value": 0, "to_value": "0.1", "per_unit_amount": "10", "flat_amount": "0.5"},
        {"from_value": "0.1", "to_value": None, "per_unit_amount": "5", "flat_amount": "0"},
    ]


def test_all_prices_of_a_charge_are_grouped_by_the_same_keys(shop: Shop, plan: str) -> None:
    def eu(**properties: Any) -> Json:
        return {"values": {"region": ["eu"]}, "properties": {"amount": "2"} | properties}

    by_team = {"pricing_group_keys": ["team"]}
    given = priced(properties={"amount": "1"} | by_team, filters=[eu(grouped_by=["user"])])
    told = {"filters.0.properties.pricing_group_keys": ["value_is_invalid"]}
    assert refused(shop.post(f"/plans/{plan}/charges", charge=given)) == told
    added = add(shop, plan, **given | {"filters": [eu(**by_team)]})
    assert added["properties"]["pricing_group_keys"] == ["team"]
    assert added["filters"][0]["properties"] == {"amount": "2"}
    us = eu(grouped_by=["user"]) | {"values": {"region": ["us"]}}
    answer = shop.post(f"/plans/{plan}/charges/units/filters", filter=us)
    assert refused(answer) == {"properties.pricing_group_keys": ["value_is_invalid"]}


def test_a_charge_of_filters_alone_may_be_grouped_too(shop: Shop, plan: str) -> None:
    eu = {"values": {"region": ["eu"]}, "properties": {"amount": "2", "grouped_by": ["team"]}}
    added = add(shop, plan, **priced(properties={}, filters=[eu]))
    assert added["properties"] == {"pricing_group_keys": ["team"]}
    again = shop.api.put(
        f"/plans/{plan}/charges/units", json={"charge": {"properties": added["properties"]}}
    )
    assert again.json()["charge"] == added


def test_a_charge_may_be_payable_in_several_assets(shop: Shop, plan: str) -> None:
    dollars = {"asset_code": "USD", "charge_model": "package", "properties": PROPERTIES["package"]}
    tokens = {"asset_code": "TOKEN", "properties": {"amount": "1000"}}
    added = add(shop, plan, **priced(asset_code="GPU_HOUR", alternatives=[dollars, tokens]))
    assert added["asset_code"] == "GPU_HOUR"
    kept = [(one["asset_code"], one["charge_model"]) for one in added["alternatives"]]
    assert kept == [("USD", "package"), ("TOKEN", "standard")]
    path = f"/plans/{plan}/charges/units"

    # In another order, and at other prices: each keeps its id.
    swapped = [tokens, dollars | {"properties": {"amount": "6", "package_size": 10}}]
    changed = shop.api.put(path, json={"charge": {"alternatives": swapped}}).json()["charge"]
    ids = {one["asset_code"]: one["lago_id"] for one in added["alternatives"]}
    assert {one["asset_code"]: one["lago_id"] for one in changed["alternatives"]} == ids
    assert changed["lago_id"] == added["lago_id"]

    # The first choice becomes an alternative: what is priced in an asset keeps its id.
    first = {"asset_code": "TOKEN", "properties": {"amount": "900"}}
    others = [{"asset_code": "GPU_HOUR", "properties": {"amount": "1"}}]
    changed = shop.api.put(path, json={"charge": first | {"alternatives": others}}).json()["charge"]
    assert (changed["lago_id"], changed["asset_code"]) == (ids["TOKEN"], "TOKEN")
    assert [one["lago_id"] for one in changed["alternatives"]] == [added["lago_id"]]
    none = shop.api.put(path, json={"charge": {"alternatives": []}}).json()["charge"]
    assert none["alternatives"] == []


def test_an_alternative_pays_where_the_first_choice_cannot(shop: Shop) -> None:
    dollars = {"asset_code": "USD", "properties": {"amount": "2.5"}}
    charge = priced(asset_code="GPU_HOUR", properties={"amount": "1"}, alternatives=[dollars])
    plan = shop.plan(shop.unique("plan"), charge)["code"]
    customer = shop.customer(plan, granted_credits="100")
    shop.wallet(customer, asset_code="GPU_HOUR", granted_credits="3", code="hours")
    items = [{"code": "units", "properties": {"n": 2}}]
    held = [shop.held(customer, items=items) for _ in range(2)]
    assert [(one["asset_code"], one["amount"]) for one in held] == [("GPU_HOUR", "2"), ("USD", "5")]


@pytest.mark.parametrize(
    ("alternatives", "told"),
    [
        ([{}], {"alternatives.0.asset_code": ["value_is_mandatory"]}),
        ([{"asset_code": "TOKEN"}], {"alternatives.0.properties": ["value_is_mandatory"]}),
        ([{"asset_code": "token"}], {"alternatives.0.asset_code": ["value_is_invalid"]}),
        ([{"asset_code": "NOTHING"}], {"alternatives.0.asset_code": ["asset_not_found"]}),
        (
            [{"asset_code": "TOKEN", "properties": {"amount": "x"}}],
            {"alternatives.0.properties.amount": ["invalid_amount"]},
        ),
        (
            [{"asset_code": "TOKEN", "charge_model": "magic", "properties": {"amount": "1"}}],
            {"alternatives.0.charge_model": ["value_is_invalid"]},
        ),
        (
            [{"asset_code": "USD", "properties": {"amount": "1"}}],
            {"alternatives.0.asset_code": ["value_is_duplicated"]},
        ),
        (
            [{"asset_code": "TOKEN", "charge_model": "dynamic"}],
            {"alternatives.0.asset_code": ["value_is_invalid"]},
        ),
        (
            [{"asset_code": f"A{number}", "properties": {"amount": "1"}} for number in range(1, 7)],
            {"alternatives": ["invalid_count"]},
        ),
        ([{}] * 101, {"alternatives": ["invalid_count"]}),
        (
            [{"asset_code": "TOKEN", "filters": [{"values": {"x": ["y"]}, "properties": {}}]}],
            {"alternatives.0.filters.0.values": ["value_is_invalid"]},
        ),
        (
            [{"asset_code": "TOKEN", "properties": {"amount": "1", "grouped_by": ["team"]}}],
            {},
        ),
        ({"asset_code": "TOKEN"}, {"alternatives": ["value_is_invalid"]}),
    ],
)
def test_alternatives_that_are_wrong_are_named(
    shop: Shop, plan: str, alternatives: Any, told: Json
) -> None:
    answer = shop.post(f"/plans/{plan}/charges", charge=priced(alternatives=alternatives))
    if told:
        assert refused(answer) == told
    else:
        assert answer.json()["charge"]["properties"]["pricing_group_keys"] == ["team"]


def test_all_charges_of_a_metric_are_in_the_same_assets(shop: Shop, plan: str) -> None:
    in_hours = priced(asset_code="GPU_HOUR")
    both = priced(alternatives=[{"asset_code": "TOKEN", "properties": {"amount": "1"}}])
    terms = {"name": "x", "code": shop.unique("plan")} | TERMS
    for other in (in_hours, both):
        answer = shop.post("/plans", plan=terms | {"charges": [priced(), other]})
        assert refused(answer) == {"charges.1.asset_code": ["mixed_assets"]}
    add(shop, plan, **priced(code="first"))
    answer = shop.post(f"/plans/{plan}/charges", charge=in_hours | {"code": "second"})
    assert refused(answer) == {"asset_code": ["mixed_assets"]}
    add(shop, plan, **priced(code="second"))
    add(shop, plan, **in_hours | {"billable_metric_code": "calls"})


def test_a_charge_may_be_worked_out_in_a_unit_that_is_worth_money(shop: Shop, plan: str) -> None:
    unit = {"code": "CREDIT", "conversion_rate": 0.05}
    added = add(shop, plan, **priced(applied_pricing_unit=unit))
    assert added["applied_pricing_unit"] == {"code": "CREDIT", "conversion_rate": "0.05"}
    path = f"/plans/{plan}/charges/units"
    kept = shop.api.put(path, json={"charge": {"properties": {"amount": "2"}}}).json()["charge"]
    assert kept["applied_pricing_unit"] == added["applied_pricing_unit"]
    cleared = shop.api.put(path, json={"charge": {"applied_pricing_unit": None}}).json()["charge"]
    assert cleared["applied_pricing_unit"] is None


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ({}, {"applied_pricing_unit.code": ["value_is_mandatory"]}),
        ({"code": "CREDIT"}, {"applied_pricing_unit.conversion_rate": ["value_is_mandatory"]}),
        ({"code": "USD", "conversion_rate": 1}, {"applied_pricing_unit.code": ["asset_not_found"]}),
        (
            {"code": "NOPE", "conversion_rate": 1},
            {"applied_pricing_unit.code": ["asset_not_found"]},
        ),
        (
            {"code": "CREDIT", "conversion_rate": 0},
            {"applied_pricing_unit.conversion_rate": ["value_is_out_of_range"]},
        ),
        *(
            (
                {"code": "CREDIT", "conversion_rate": rate},
                {"applied_pricing_unit.conversion_rate": ["value_is_invalid"]},
            )
            for rate in (-1, "NaN", "1E+1000000", "1E-1000000", "much", [], True)
        ),
        ("CREDIT", {"applied_pricing_unit": ["value_is_invalid"]}),
    ],
)
def test_a_pricing_unit_that_is_wrong_is_named(
    shop: Shop, plan: str, unit: Any, told: Json
) -> None:
    answer = shop.post(f"/plans/{plan}/charges", charge=priced(applied_pricing_unit=unit))
    assert refused(answer) == told


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"prorated": True}, {"prorated": ["invalid_billable_metric_or_charge_model"]}),
        ({"invoiceable": False}, {"invoiceable": ["only_compatible_with_pay_in_advance"]}),
        (
            {"regroup_paid_fees": "invoice"},
            {"regroup_paid_fees": ["only_compatible_with_pay_in_advance_and_non_invoiceable"]},
        ),
        ({"regroup_paid_fees": "x" * 65}, {"regroup_paid_fees": ["value_is_too_long"]}),
        (
            {"min_amount_cents": 1, "pay_in_advance": True},
            {"min_amount_cents": ["not_compatible_with_pay_in_advance"]},
        ),
        ({"min_amount_cents": 2**63}, {"min_amount_cents": ["value_is_out_of_range"]}),
        (
            {"charge_model": "volume", "properties": PROPERTIES["volume"], "pay_in_advance": True},
            {"pay_in_advance": ["invalid_aggregation_type_or_charge_model"]},
        ),
        (
            {"charge_model": "dynamic", "billable_metric_code": "calls"},
            {"charge_model": ["invalid_aggregation_type_or_charge_model"]},
        ),
        ({"accepts_target_wallet": "perhaps"}, {"accepts_target_wallet": ["value_is_invalid"]}),
        ({"code": "nul-\x00"}, {"code": ["value_is_invalid"]}),
        ({"invoice_display_name": "x" * 256}, {"invoice_display_name": ["value_is_too_long"]}),
    ],
)
def test_options_that_do_not_go_together_are_named(
    shop: Shop, plan: str, terms: Json, told: Json
) -> None:
    answer = shop.post(f"/plans/{plan}/charges", charge=priced() | terms)
    assert refused(answer) == told


def test_seats_are_prorated_and_a_metric_keeps_its_charges_possible(shop: Shop, plan: str) -> None:
    seats = {"billable_metric_code": "seats", "charge_model": "standard", "prorated": True}
    added = add(shop, plan, **seats, properties={"amount": "30.12"}, pay_in_advance=True)
    assert (added["prorated"], added["pay_in_advance"]) == (True, True)
    answer = shop.api.put("/billable_metrics/seats", json={"billable_metric": {"recurring": False}})
    assert refused(answer) == {"aggregation_type": ["invalid_aggregation_type_or_charge_model"]}


def test_thousands_of_filters_are_changed_in_good_time(shop: Shop) -> None:
    models = [f"model-{number}" for number in range(4_000)]
    shop.metric("wide", field="n", model=models)
    filters = [
        {"values": {"model": [model]}, "properties": {"amount": str(number + 1)}}
        for number, model in enumerate(models)
    ]
    charge = {"billable_metric_code": "wide", "charge_model": "standard", "filters": filters}
    plan = shop.plan(shop.unique("plan"), charge)
    ids = [entry["lago_id"] for entry in plan["charges"][0]["filters"]]
    answer = shop.api.put(
        f"/plans/{plan['code']}/charges/wide", json={"charge": {"filters": filters[::-1]}}
    )
    assert [entry["lago_id"] for entry in answer.json()["charge"]["filters"]] == ids[::-1]
