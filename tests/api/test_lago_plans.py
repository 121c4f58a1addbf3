"""Lago's official Python client, unmodified: every operation of its plans."""

from typing import Any

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    AddOn,
    BillableMetric,
    BillableMetricFilter,
    BillableMetricFilters,
    Charge,
    ChargeFilter,
    ChargeFilters,
    Charges,
    FixedCharge,
    FixedCharges,
    MinimumCommitment,
    Plan,
)
from lago_python_client.models.charge import ChargeFilterResponse, ChargeResponse
from lago_python_client.models.fixed_charge import (
    FixedChargeGraduatedRange,
    FixedChargeProperties,
    FixedChargeResponse,
)
from lago_python_client.services.response import get_response_data, prepare_index_response

from tests.api.market import refused

O3 = {"model": ["o3"]}
GPT = {"model": ["gpt-4o"]}
VOLUME = {
    "volume_ranges": [
        {"from_value": 0, "to_value": 10, "per_unit_amount": "2", "flat_amount": "0"},
        {"from_value": 11, "to_value": None, "per_unit_amount": "1", "flat_amount": "0"},
    ]
}


@pytest.fixture(scope="module")
def metric(lago: Client):
    return lago.billable_metrics.create(
        BillableMetric(
            name="Tokens",
            code="lago-plans-tokens",
            aggregation_type="sum_agg",
            field_name="tokens",
            filters=BillableMetricFilters(
                __root__=[BillableMetricFilter(key="model", values=["gpt-4o", "o3"])]
            ),
        )
    )


@pytest.fixture(scope="module")
def add_on(lago: Client):
    return lago.add_ons.create(
        AddOn(name="Seat", code="lago-plans-seat", amount_cents=5000, amount_currency="USD")
    )


@pytest.fixture(scope="module")
def fixed_plan(api: httpx.Client) -> str:
    """A plan in dollars without any charge."""
    terms = {"name": "Fixed", "interval": "monthly", "amount_cents": 0, "amount_currency": "USD"}
    answer = api.post("/plans", json={"plan": terms | {"code": "lago-plans-fixed"}})
    return answer.json()["plan"]["code"]


@pytest.fixture
def plan(lago: Client, metric, request: pytest.FixtureRequest) -> str:
    """A plan of this test's own, with one charge, `input`."""
    code = f"lago-{request.node.name}"
    lago.plans.create(
        Plan(
            name="Tokens",
            code=code,
            interval="monthly",
            amount_cents=0,
            amount_currency="USD",
            charges=Charges(__root__=[input_charge(metric)]),
        )
    )
    return code


def input_charge(metric) -> Charge:
    o3 = ChargeFilter(
        values=O3, properties={"amount": "0.000002"}, invoice_display_name="Reasoning"
    )
    return Charge(
        billable_metric_id=metric.lago_id,
        code="input",
        charge_model="standard",
        properties={"amount": "0.0000025"},
        filters=ChargeFilters(__root__=[o3]),
    )


def listed(api: httpx.Client, path: str, model):
    """What the client makes of a list whose request it sends without its key (1.55.0)."""
    answer = api.get(path)
    resource = path.rpartition("/")[2]
    return prepare_index_response(resource, model, get_response_data(response=answer))


def test_a_charge_is_added_changed_found_listed_and_taken_out(
    lago: Client, api: httpx.Client, metric, plan: str
) -> None:
    ranges = [
        {"from_value": 0, "to_value": 10, "per_unit_amount": "10", "flat_amount": "2"},
        {"from_value": 11, "to_value": None, "per_unit_amount": "5.5", "flat_amount": "0"},
    ]
    created = lago.plan_charges.create(
        plan,
        Charge(
            billable_metric_id=metric.lago_id,
            code="output",
            charge_model="graduated",
            properties={"graduated_ranges": ranges},
            invoice_display_name="Output",
            min_amount_cents=500,
        ),
    )
    assert (created.code, created.charge_model) == ("output", "graduated")
    assert created.properties == {"graduated_ranges": ranges}
    assert (created.min_amount_cents, created.billable_metric_code) == (500, metric.code)

    changed = lago.plan_charges.update(plan, "output", Charge(invoice_display_name="Answers"))
    assert (changed.lago_id, changed.invoice_display_name) == (created.lago_id, "Answers")
    assert changed.properties == created.properties

    assert lago.plan_charges.find(plan, "output") == changed
    of_plan = lago.plans.find(plan).charges.__root__
    assert [charge.code for charge in of_plan] == ["input", "output"]
    page = listed(api, f"/plans/{plan}/charges", ChargeResponse)
    assert page["charges"] == of_plan
    assert page["meta"]["total_count"] == 2
    with pytest.raises(LagoApiError) as unauthorized:
        lago.plan_charges.find_all(plan)  # it sends no key here
    assert unauthorized.value.status_code == 401

    assert lago.plan_charges.destroy(plan, "output").lago_id == created.lago_id
    with pytest.raises(LagoApiError) as gone:
        lago.plan_charges.find(plan, "output")
    assert gone.value.response["code"] == "charge_not_found"


def test_a_filter_is_added_changed_found_listed_and_taken_out(lago: Client, plan: str) -> None:
    created = lago.plans.create_charge_filter(
        plan, "input", ChargeFilter(values=GPT, properties={"amount": "3"})
    )
    assert (created.values, created.properties) == (GPT, {"amount": "3"})

    changed = lago.plans.update_charge_filter(
        plan, "input", created.lago_id, ChargeFilter(properties={"amount": "4"})
    )
    assert (changed.lago_id, changed.properties) == (created.lago_id, {"amount": "4"})

    assert lago.plans.find_charge_filter(plan, "input", created.lago_id) == changed
    page = lago.plans.find_all_charge_filters(plan, "input", {"per_page": 1, "page": 2})
    assert page["filters"] == [changed]
    assert page["meta"]["total_pages"] == 2
    assert isinstance(page["filters"][0], ChargeFilterResponse)

    assert lago.plans.destroy_charge_filter(plan, "input", created.lago_id) == changed
    with pytest.raises(LagoApiError) as gone:
        lago.plans.find_charge_filter(plan, "input", created.lago_id)
    assert gone.value.response["code"] == "charge_filter_not_found"
    (left,) = lago.plan_charges.find(plan, "input").filters.__root__
    assert left.values == O3


def test_every_change_is_a_version_of_its_own(api: httpx.Client, lago: Client, plan: str) -> None:
    def version() -> int:
        return api.get(f"/plans/{plan}").json()["plan"]["version"]

    lago.plan_charges.update(plan, "input", Charge(properties={"amount": "9"}))
    assert version() == 2
    lago.plan_charges.update(plan, "input", Charge(properties={"amount": "9"}))
    assert version() == 2
    (o3,) = lago.plan_charges.find(plan, "input").filters.__root__
    lago.plans.create_charge_filter(
        plan, "input", ChargeFilter(values=GPT, properties=o3.properties)
    )
    assert version() == 3


def test_what_is_wrong_with_one_charge_or_filter_is_told_by_its_fields(
    lago: Client, api: httpx.Client, metric, plan: str
) -> None:
    charges = f"/plans/{plan}/charges"
    taken = {"billable_metric_id": metric.lago_id, "code": "input", "charge_model": "standard"}
    answer = api.post(charges, json={"charge": taken | {"properties": {"amount": "1"}}})
    assert refused(answer) == {"code": ["value_already_exist"]}
    answer = api.post(charges, json={"charge": taken | {"code": "x", "properties": {}}})
    assert refused(answer) == {"properties": ["value_is_mandatory"]}
    answer = api.put(f"{charges}/input", json={"charge": {"filters": [{"values": {"a": ["b"]}}]}})
    assert refused(answer) == {"filters.0.values": ["value_is_invalid"]}

    filters = f"{charges}/input/filters"
    for given, told in (
        ({"values": O3, "properties": {"amount": "1"}}, {"values": ["value_is_duplicated"]}),
        ({"values": GPT}, {"properties": ["value_is_mandatory"]}),
        (
            {"values": GPT, "properties": {"amount": "-1"}},
            {"properties.amount": ["invalid_amount"]},
        ),
        ({"properties": {"amount": "1"}}, {"values": ["value_is_invalid"]}),
        ({"values": {"model": ["gpt-5"]}, "properties": {}}, {"values": ["value_is_invalid"]}),
        ({"values": {"model": []}, "properties": {}}, {"values": ["value_is_invalid"]}),
        ({"values": {"model": [1]}}, {"values.0": ["value_is_invalid"]}),
        ({"values": "all"}, {"values": ["value_is_invalid"]}),
    ):
        assert refused(api.post(filters, json={"filter": given})) == told
    for path in (f"{filters}/no-id", f"{filters}/01900000-0000-7000-8000-000000000000"):
        assert refused(api.get(path), 404) == "charge_filter_not_found"
    assert refused(api.get(f"{charges}/nothing/filters"), 404) == "charge_not_found"
    assert refused(api.get("/plans/nothing/charges"), 404) == "plan_not_found"


def test_a_charge_without_a_price_of_its_own_keeps_its_last_filter(
    lago: Client, api: httpx.Client, plan: str
) -> None:
    (o3,) = lago.plan_charges.find(plan, "input").filters.__root__
    path = f"/plans/{plan}/charges/input"
    entry = api.get(f"{path}/filters").json()["filters"][0]
    assert entry["values"] == o3.values
    assert api.put(path, json={"charge": {"properties": {}}}).status_code == 200
    answer = api.delete(f"{path}/filters/{entry['lago_id']}")
    assert refused(answer) == {"properties": ["value_is_mandatory"]}


def test_a_filter_with_other_values_is_another_filter(api: httpx.Client, plan: str) -> None:
    path = f"/plans/{plan}/charges/input/filters"
    before = api.get(path).json()["filters"][0]
    body = {"filter": {"values": GPT}}
    after = api.put(f"{path}/{before['lago_id']}", json=body).json()["filter"]
    assert after["lago_id"] != before["lago_id"]
    assert after["properties"] == before["properties"]
    assert api.get(f"{path}/{before['lago_id']}").status_code == 404


def seats(**terms: Any) -> FixedCharge:
    """Seats at 10.00 each."""
    known = {
        "code": "seats",
        "charge_model": "standard",
        "units": 5,
        "properties": FixedChargeProperties(amount="10"),
    }
    return FixedCharge(**known | terms)


def test_a_fixed_charge_is_added_changed_found_listed_and_taken_out(
    lago: Client, api: httpx.Client, add_on, plan: str
) -> None:
    created = lago.plan_fixed_charges.create(plan, seats(add_on_id=add_on.lago_id))
    assert (created.code, created.units, created.lago_add_on_id) == ("seats", 5, add_on.lago_id)
    assert created.invoice_display_name == add_on.name
    assert created.properties.amount == "10"

    changed = lago.plan_fixed_charges.update(
        plan,
        "seats",
        FixedCharge(units=7.5, invoice_display_name="Seats", apply_units_immediately=True),
    )
    assert (changed.lago_id, changed.units) == (created.lago_id, 7.5)
    assert changed.invoice_display_name == "Seats"
    lago.plan_fixed_charges.update(plan, "seats", FixedCharge(units=6))

    found = lago.plan_fixed_charges.find(plan, "seats")
    assert found.units == 6
    history = api.get(f"/plans/{plan}/fixed_charges/seats").json()["fixed_charge"]["units_history"]
    assert [(float(entry["units"]), entry["applies_immediately"]) for entry in history] == [
        (6, False),
        (7.5, True),
        (5, False),
    ]
    assert lago.plans.find(plan).fixed_charges.__root__ == [found]
    page = listed(api, f"/plans/{plan}/fixed_charges", FixedChargeResponse)
    assert page["fixed_charges"] == [found]
    with pytest.raises(LagoApiError) as unauthorized:
        lago.plan_fixed_charges.find_all(plan)  # it sends no key here
    assert unauthorized.value.status_code == 401

    assert lago.plan_fixed_charges.destroy(plan, "seats") == found
    with pytest.raises(LagoApiError) as gone:
        lago.plan_fixed_charges.find(plan, "seats")
    assert gone.value.response["code"] == "fixed_charge_not_found"


def test_what_a_plan_costs_at_least_is_agreed_changed_and_ended(
    lago: Client, api: httpx.Client
) -> None:
    terms = Plan(
        name="At least",
        code="lago-plans-committed",
        interval="monthly",
        amount_cents=100_000,
        amount_currency="USD",
        minimum_commitment=MinimumCommitment(
            amount_cents=1_000_000, invoice_display_name="Agreed minimum"
        ),
    )
    agreed = lago.plans.create(terms).minimum_commitment
    assert agreed.amount_cents == 1_000_000
    assert (agreed.invoice_display_name, agreed.interval) == ("Agreed minimum", "monthly")
    unnamed = lago.plans.update(Plan(name="At least, still"), terms.code).minimum_commitment
    assert unnamed == agreed
    less = Plan(minimum_commitment=MinimumCommitment(amount_cents=900_000))
    changed = lago.plans.update(less, terms.code).minimum_commitment
    assert (changed.lago_id, changed.amount_cents) == (agreed.lago_id, 900_000)
    assert changed.invoice_display_name == "Agreed minimum"
    assert lago.plans.find(terms.code).minimum_commitment == changed
    for nothing in ({}, None):
        ended = api.put(f"/plans/{terms.code}", json={"plan": {"minimum_commitment": nothing}})
        assert ended.json()["plan"]["minimum_commitment"] is None


def test_a_plan_is_made_with_fixed_charges_and_metadata(lago: Client, metric, add_on) -> None:
    ranges = [
        FixedChargeGraduatedRange(from_value=0, to_value=10, flat_amount="0", per_unit_amount="10"),
        FixedChargeGraduatedRange(from_value=11, flat_amount="5", per_unit_amount="8"),
    ]
    graduated = seats(
        add_on_code=add_on.code,
        charge_model="graduated",
        properties=FixedChargeProperties(graduated_ranges=ranges),
        prorated=True,
    )
    created = lago.plans.create(
        Plan(
            name="Seats",
            code="lago-plan-of-seats",
            interval="monthly",
            amount_cents=0,
            amount_currency="EUR",
            charges=Charges(__root__=[input_charge(metric)]),
            fixed_charges=FixedCharges(__root__=[graduated]),
            metadata={"team": "blue", "owner": None},
        )
    )
    (charge,) = created.fixed_charges.__root__
    assert (charge.code, charge.charge_model, charge.prorated) == ("seats", "graduated", True)
    assert charge.properties.graduated_ranges == ranges
    assert created.metadata == {"team": "blue", "owner": None}

    renamed = lago.plans.update(Plan(name="More seats"), created.code)
    assert renamed.fixed_charges == created.fixed_charges
    cleared = lago.plans.update(Plan(fixed_charges=FixedCharges(__root__=[])), created.code)
    assert cleared.fixed_charges.__root__ == []
    assert cleared.charges == created.charges
    assert lago.plans.destroy(created.code).lago_id == created.lago_id


def test_metadata_is_replaced_merged_and_removed(lago: Client, plan: str) -> None:
    assert lago.plans.replace_metadata(plan, {"a": "1", "b": None}) == {"a": "1", "b": None}
    assert lago.plans.merge_metadata(plan, {"b": "2", "c": "3"}) == {"a": "1", "b": "2", "c": "3"}
    assert lago.plans.delete_metadata_key(plan, "b") == {"a": "1", "c": "3"}
    assert lago.plans.find(plan).metadata == {"a": "1", "c": "3"}
    with pytest.raises(LagoApiError) as gone:
        lago.plans.delete_metadata_key(plan, "b")
    assert gone.value.response["code"] == "metadata_not_found"
    assert lago.plans.delete_all_metadata(plan) is None
    assert lago.plans.find(plan).metadata == {}


def test_metadata_has_a_limit(api: httpx.Client, plan: str) -> None:
    path = f"/plans/{plan}/metadata"
    full = {str(number): "x" for number in range(50)}
    assert api.post(path, json={"metadata": full}).status_code == 200
    assert refused(api.patch(path, json={"metadata": {"one": "more"}})) == {
        "metadata": ["invalid_count"]
    }
    assert refused(api.post(path, json={"metadata": full | {"x": "y"}})) == {
        "metadata": ["invalid_count"]
    }
    assert api.post(path, json={"metadata": [1]}).status_code == 400
    assert api.post(path, json={}).status_code == 400


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"add_on_code": None}, {"add_on_id": ["value_is_mandatory"]}),
        ({"add_on_code": "none"}, {"add_on_code": ["add_on_not_found"]}),
        ({"add_on_id": "none"}, {"add_on_id": ["value_is_invalid"]}),
        ({"charge_model": None}, {"charge_model": ["value_is_mandatory"]}),
        ({"charge_model": "package"}, {"charge_model": ["value_is_invalid"]}),
        ({"units": None}, {"units": ["value_is_mandatory"]}),
        ({"units": -1}, {"units": ["value_is_out_of_range"]}),
        ({"units": "NaN"}, {"units": ["value_is_out_of_range"]}),
        ({"units": "1E+1000000"}, {"units": ["value_is_out_of_range"]}),
        ({"units": "1E-1000000"}, {"units": ["value_is_out_of_range"]}),
        ({"units": "many"}, {"units": ["value_is_invalid"]}),
        ({"properties": {"amount": "x"}}, {"properties.amount": ["invalid_amount"]}),
        ({"charge_model": "volume", "properties": {}}, {"properties": ["value_is_mandatory"]}),
        (
            {"charge_model": "graduated", "properties": {"graduated_ranges": []}},
            {"properties.graduated_ranges": ["invalid_graduated_ranges"]},
        ),
        (
            {"charge_model": "volume", "pay_in_advance": True, "properties": VOLUME},
            {"pay_in_advance": ["invalid_charge_model"]},
        ),
        (
            {
                "charge_model": "graduated",
                "pay_in_advance": True,
                "prorated": True,
                "properties": {"graduated_ranges": VOLUME["volume_ranges"]},
            },
            {"prorated": ["invalid_charge_model"]},
        ),
        ({"tax_codes": ["vat"]}, {"tax_codes": ["tax_not_found"]}),
        ({"effective_at": "2001-01-01"}, {"effective_at": ["value_is_out_of_range"]}),
        ({"effective_at": "soon"}, {"effective_at": ["value_is_invalid"]}),
    ],
)
def test_a_fixed_charge_that_is_wrong_is_refused_by_field(
    api: httpx.Client, add_on, fixed_plan: str, terms: dict[str, Any], told: dict[str, list[str]]
) -> None:
    good = {"add_on_code": add_on.code, "charge_model": "standard", "units": 1}
    answer = api.post(f"/plans/{fixed_plan}/fixed_charges", json={"fixed_charge": good | terms})
    assert refused(answer) == told


def test_without_a_price_of_its_own_a_fixed_charge_has_that_of_its_add_on(
    api: httpx.Client, add_on, fixed_plan: str
) -> None:
    path = f"/plans/{fixed_plan}/fixed_charges"
    given = {"add_on_code": add_on.code, "charge_model": "standard", "units": "3"}
    charge = api.post(path, json={"fixed_charge": given}).json()["fixed_charge"]
    assert charge["properties"] == {"amount": "50.00"}
    assert (charge["code"], charge["units"]) == (add_on.code, "3")
    again = api.post(path, json={"fixed_charge": given}).json()["fixed_charge"]
    assert again["code"] == f"{add_on.code}_2"
    answer = api.post(path, json={"fixed_charge": given | {"code": add_on.code}})
    assert refused(answer) == {"code": ["value_already_exist"]}
