"""Lago's official Python client, unmodified: every operation of its add-ons."""

from typing import Any

import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import AddOn

from tests.api.market import refused

SETUP = {"name": "Setup", "code": "x", "amount_cents": 50000, "amount_currency": "USD"}


def test_an_add_on_is_created_changed_found_listed_and_deleted(lago: Client) -> None:
    created = lago.add_ons.create(AddOn(**SETUP | {"code": "lago-setup", "description": "Once"}))
    assert (created.name, created.amount_cents, created.description) == ("Setup", 50000, "Once")
    assert created.taxes.__root__ == []

    changed = lago.add_ons.update(
        AddOn(invoice_display_name="Set-up fee", amount_cents=0), "lago-setup"
    )
    assert (changed.lago_id, changed.invoice_display_name) == (created.lago_id, "Set-up fee")
    assert (changed.amount_cents, changed.name) == (0, "Setup")

    assert lago.add_ons.find("lago-setup") == changed
    assert changed in lago.add_ons.find_all({"per_page": 1000})["add_ons"]

    assert lago.add_ons.destroy("lago-setup") == changed
    with pytest.raises(LagoApiError) as gone:
        lago.add_ons.find("lago-setup")
    assert gone.value.response["code"] == "add_on_not_found"
    again = lago.add_ons.create(AddOn(**SETUP | {"code": "lago-setup"}))
    assert again.lago_id != created.lago_id


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"name": ""}, {"name": ["value_is_mandatory"]}),
        ({"name": None}, {"name": ["value_is_mandatory"]}),
        ({"name": "nul-\x00"}, {"name": ["value_is_invalid"]}),
        ({"code": " "}, {"code": ["value_is_mandatory"]}),
        ({"code": "lago-taken"}, {"code": ["value_already_exist"]}),
        ({"code": "x" * 256}, {"code": ["value_is_too_long"]}),
        ({"amount_cents": None}, {"amount_cents": ["value_is_mandatory"]}),
        ({"amount_cents": -1}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 2**63}, {"amount_cents": ["value_is_out_of_range"]}),
        ({"amount_cents": 1.5}, {"amount_cents": ["value_is_invalid"]}),
        ({"amount_currency": None}, {"amount_currency": ["value_is_mandatory"]}),
        ({"amount_currency": "GOLD"}, {"amount_currency": ["value_is_invalid"]}),
        ({"tax_codes": ["vat"]}, {"tax_codes": ["tax_not_found"]}),
    ],
)
def test_an_add_on_that_is_wrong_is_refused_by_field(
    api: httpx.Client, terms: dict[str, Any], told: dict[str, list[str]]
) -> None:
    api.post("/add_ons", json={"add_on": SETUP | {"code": "lago-taken"}})
    assert refused(api.post("/add_ons", json={"add_on": SETUP | terms})) == told


def test_plans_keep_an_add_on_that_is_renamed_and_then_deleted(api: httpx.Client) -> None:
    assert api.post("/add_ons", json={"add_on": SETUP | {"code": "lago-kept"}}).status_code == 200
    plan = {
        "name": "Kept",
        "code": "lago-kept-plan",
        "interval": "monthly",
        "amount_cents": 0,
        "amount_currency": "USD",
        "fixed_charges": [{"add_on_code": "lago-kept", "charge_model": "standard", "units": 2}],
    }
    assert api.post("/plans", json={"plan": plan}).status_code == 200

    def shown() -> tuple[int, str, str, str]:
        plan = api.get("/plans/lago-kept-plan").json()["plan"]
        (charge,) = plan["fixed_charges"]
        names = charge["add_on_code"], charge["invoice_display_name"]
        return plan["version"], *names, charge["properties"]["amount"]

    assert shown() == (1, "lago-kept", "Setup", "500.00")
    renamed = {"code": "lago-kept-2", "invoice_display_name": "Set-up", "amount_cents": 1}
    assert api.put("/add_ons/lago-kept", json={"add_on": renamed}).status_code == 200
    assert shown() == (2, "lago-kept-2", "Set-up", "500.00")
    assert api.delete("/add_ons/lago-kept-2").status_code == 200
    changed = {"fixed_charge": {"units": 3}}
    assert api.put("/plans/lago-kept-plan/fixed_charges/lago-kept", json=changed).status_code == 200
    assert shown() == (3, "lago-kept-2", "Set-up", "500.00")
    new = {"fixed_charge": {"add_on_code": "lago-kept-2", "charge_model": "standard", "units": 1}}
    answer = api.post("/plans/lago-kept-plan/fixed_charges", json=new)
    assert refused(answer) == {"add_on_code": ["add_on_not_found"]}
