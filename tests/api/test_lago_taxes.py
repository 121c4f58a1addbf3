"""Lago's official Python client, unmodified: every operation of its taxes and billing entities."""

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    AddOn,
    BillableMetric,
    Charge,
    Charges,
    Customer,
    FixedCharge,
    FixedCharges,
    Organization,
    Plan,
    Tax,
)
from lago_python_client.models.billing_entity import (
    BillingEntity,
    BillingEntityBillingConfiguration,
    BillingEntityUpdate,
)

from tests.api.conftest import NewShop, Service
from tests.api.market import Shop, refused

VAT = {"name": "VAT", "code": "x", "rate": 20.0}


@pytest.fixture
def vat(lago: Client) -> Iterator[str]:
    """A tax, gone afterwards."""
    lago.taxes.create(Tax(**VAT | {"code": "lago-vat"}))
    yield "lago-vat"
    lago.taxes.destroy("lago-vat")


def test_a_tax_is_created_changed_found_listed_and_deleted(lago: Client) -> None:
    created = lago.taxes.create(Tax(**VAT | {"code": "lago-tax", "description": "Standard"}))
    assert (created.name, created.rate, created.description) == ("VAT", 20.0, "Standard")
    assert (created.applied_to_organization, created.applied_to_billing_entities_codes) == (
        False,
        [],
    )

    changed = lago.taxes.update(Tax(rate=19.6, applied_to_organization=True), "lago-tax")
    assert (changed.lago_id, changed.rate, changed.name) == (created.lago_id, 19.6, "VAT")
    assert changed.applied_to_organization is True
    assert changed.applied_to_billing_entities_codes == ["default"]

    assert lago.taxes.find("lago-tax") == changed
    assert changed in lago.taxes.find_all({"per_page": 1000})["taxes"]
    assert [tax.code for tax in lago.billing_entities.find("default").taxes.__root__] == [
        "lago-tax"
    ]

    assert lago.taxes.destroy("lago-tax") == changed
    assert lago.billing_entities.find("default").taxes.__root__ == []
    with pytest.raises(LagoApiError) as gone:
        lago.taxes.find("lago-tax")
    assert gone.value.response["code"] == "tax_not_found"


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"name": ""}, {"name": ["value_is_mandatory"]}),
        ({"name": "nul-\x00"}, {"name": ["value_is_invalid"]}),
        ({"code": " "}, {"code": ["value_is_mandatory"]}),
        ({"code": "lago-vat"}, {"code": ["value_already_exist"]}),
        ({"rate": None}, {"rate": ["value_is_mandatory"]}),
        ({"rate": -1}, {"rate": ["value_is_out_of_range"]}),
        ({"rate": 1000.01}, {"rate": ["value_is_out_of_range"]}),
        ({"rate": 1e-7}, {"rate": ["value_is_out_of_range"]}),
        ({"rate": "NaN"}, {"rate": ["value_is_out_of_range"]}),
        ({"rate": "Infinity"}, {"rate": ["value_is_out_of_range"]}),
        ({"rate": "1e999999"}, {"rate": ["value_is_out_of_range"]}),
        ({"rate": []}, {"rate": ["value_is_invalid"]}),
        ({"applied_to_organization": "yes"}, {"applied_to_organization": ["value_is_invalid"]}),
    ],
)
def test_a_tax_that_is_wrong_is_refused_by_field(
    api: httpx.Client, vat: str, terms: dict[str, Any], told: dict[str, list[str]]
) -> None:
    assert refused(api.post("/taxes", json={"tax": VAT | {"code": "lago-x"} | terms})) == told


def test_a_tax_keeps_its_code(api: httpx.Client, vat: str) -> None:
    answer = api.put(f"/taxes/{vat}", json={"tax": {"code": "other"}})

    assert refused(answer) == {"code": ["value_is_invalid"]}
    assert api.put(f"/taxes/{vat}", json={"tax": {"code": vat}}).status_code == 200


def test_what_is_sold_and_who_buys_show_their_taxes(lago: Client, vat: str) -> None:
    def codes(shown: Any) -> list[str]:
        return [tax.code for tax in shown.taxes.__root__]

    add_on = AddOn(
        name="Seat", code="lago-taxed-seat", amount_cents=1, amount_currency="EUR", tax_codes=[vat]
    )
    assert codes(lago.add_ons.create(add_on)) == [vat]
    assert codes(lago.add_ons.update(AddOn(tax_codes=[]), "lago-taxed-seat")) == []
    metric = lago.billable_metrics.create(_metric("lago-taxed"))
    plan = lago.plans.create(
        Plan(
            name="Taxed",
            code="lago-taxed",
            interval="monthly",
            amount_cents=0,
            amount_currency="EUR",
            pay_in_advance=False,
            tax_codes=[vat],
            charges=Charges(
                __root__=[
                    Charge(
                        billable_metric_id=metric.lago_id,
                        charge_model="standard",
                        properties={"amount": "1"},
                        tax_codes=[vat],
                    )
                ]
            ),
            fixed_charges=FixedCharges(
                __root__=[
                    FixedCharge(
                        add_on_code="lago-taxed-seat",
                        charge_model="standard",
                        units="1",
                        tax_codes=[vat],
                    )
                ]
            ),
        )
    )
    assert codes(plan) == [vat]
    assert codes(plan.charges.__root__[0]) == codes(plan.fixed_charges.__root__[0]) == [vat]
    assert lago.plans.find("lago-taxed") == plan
    customer = lago.customers.create(Customer(external_id="lago-taxed", tax_codes=[vat]))
    assert codes(customer) == [vat]
    assert codes(lago.customers.find("lago-taxed")) == [vat]


def test_a_tax_that_is_deleted_is_no_longer_shown(lago: Client, api: httpx.Client) -> None:
    lago.taxes.create(Tax(**VAT | {"code": "lago-gone"}))
    lago.customers.create(Customer(external_id="lago-untaxed", tax_codes=["lago-gone"]))
    lago.taxes.destroy("lago-gone")

    assert lago.customers.find("lago-untaxed").taxes.__root__ == []
    answer = api.post("/customers", json={"customer": {"external_id": "lago-untaxed", "name": "U"}})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("address", "root", "body"),
    [
        ("/customers", "customer", {"external_id": "x"}),
        ("/add_ons", "add_on", {"name": "X", "code": "x", "amount_cents": 1}),
        (
            "/plans",
            "plan",
            {"name": "X", "code": "x", "interval": "monthly", "amount_cents": 0},
        ),
        ("/billing_entities", "billing_entity", {"name": "X", "code": "x"}),
    ],
)
def test_nothing_names_a_tax_that_there_is_not(
    api: httpx.Client, address: str, root: str, body: dict[str, Any]
) -> None:
    named = body | {"tax_codes": ["nobodys"], "amount_currency": "EUR"}

    assert refused(api.post(address, json={root: named})) == {"tax_codes": ["tax_not_found"]}


def test_no_charge_names_a_tax_that_there_is_not(lago: Client, api: httpx.Client) -> None:
    metric = lago.billable_metrics.create(_metric("lago-tax-charge"))
    charge = {
        "billable_metric_id": metric.lago_id,
        "charge_model": "standard",
        "properties": {"amount": "1"},
    }
    plan = {
        "name": "X",
        "code": "lago-tax-charge",
        "interval": "monthly",
        "amount_cents": 0,
        "amount_currency": "EUR",
    }
    wrong = charge | {"tax_codes": ["nobodys"]}
    assert refused(api.post("/plans", json={"plan": plan | {"charges": [wrong]}})) == {
        "charges.0.tax_codes": ["tax_not_found"]
    }
    assert api.post("/plans", json={"plan": plan | {"charges": [charge]}}).status_code == 200
    told = {"tax_codes": ["tax_not_found"]}
    assert refused(api.post("/plans/lago-tax-charge/charges", json={"charge": wrong})) == told
    address = "/plans/lago-tax-charge/charges/lago-tax-charge"
    assert refused(api.put(address, json={"charge": {"tax_codes": ["no"]}})) == told


def test_a_billing_entity_is_created_changed_found_and_listed(lago: Client) -> None:
    created = lago.billing_entities.create(
        BillingEntity(
            code="lago-eu",
            name="Acme Europe",
            country="FR",
            billing_configuration=BillingEntityBillingConfiguration(invoice_grace_period=3),
        )
    )
    assert (created.name, created.country, created.invoice_grace_period) == ("Acme Europe", "FR", 3)
    assert (created.is_default, created.document_numbering) == (False, "per_customer")
    assert created.document_number_prefix.startswith("ACM-")

    changed = lago.billing_entities.update(
        BillingEntityUpdate(name="Acme EU", document_numbering="per_billing_entity"), "lago-eu"
    )
    assert (changed.lago_id, changed.name) == (created.lago_id, "Acme EU")
    assert changed.document_numbering == "per_billing_entity"
    assert lago.billing_entities.find("lago-eu") == changed
    first, *others = lago.billing_entities.find_all()["billing_entities"]
    assert (first.code, first.is_default) == ("default", True)
    assert changed in others
    customer = lago.customers.create(
        Customer(external_id="lago-european", billing_entity_code="lago-eu")
    )
    assert customer.billing_entity_code == "lago-eu"


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"name": " "}, {"name": ["value_is_mandatory"]}),
        ({"code": "default"}, {"code": ["value_already_exist"]}),
        ({"country": "Narnia"}, {"country": ["value_is_invalid"]}),
        ({"timezone": "Mars/Olympus"}, {"timezone": ["value_is_invalid"]}),
        ({"default_currency": "XXX"}, {"default_currency": ["value_is_invalid"]}),
        ({"document_numbering": "random"}, {"document_numbering": ["value_is_invalid"]}),
        ({"net_payment_term": -1}, {"net_payment_term": ["value_is_out_of_range"]}),
        (
            {"billing_configuration": {"invoice_grace_period": 366}},
            {"invoice_grace_period": ["value_is_out_of_range"]},
        ),
        (
            {"billing_configuration": {"document_locale": "../x"}},
            {"document_locale": ["value_is_invalid"]},
        ),
        ({"email": "a@acme.test b@acme.test"}, {"email": ["invalid_email_format"]}),
        ({"eu_tax_management": True}, {"eu_tax_management": ["country_must_be_in_eu"]}),
        (
            {"invoice_custom_section_codes": ["none"]},
            {"invoice_custom_section_codes": ["invoice_custom_section_not_found"]},
        ),
    ],
)
def test_a_billing_entity_that_is_wrong_is_refused_by_field(
    api: httpx.Client, terms: dict[str, Any], told: dict[str, list[str]]
) -> None:
    entity = {"name": "X", "code": "lago-wrong"} | terms

    assert refused(api.post("/billing_entities", json={"billing_entity": entity})) == told


async def test_the_first_billing_entity_is_made_of_the_organization_and_follows_it(
    new_shop: NewShop,
) -> None:
    shop = await new_shop("Followed")
    lago = _client_of(shop)
    before = {"default_currency": "EUR", "legal_name": "Followed SARL", "country": "FR"}
    lago.organizations.update(Organization(**before))

    entity = lago.billing_entities.find("default")
    assert (entity.name, entity.legal_name, entity.country) == ("Followed", "Followed SARL", "FR")

    lago.organizations.update(
        Organization(
            default_currency="EUR",
            city="Lyon",
            document_numbering="per_organization",
            timezone="Europe/Paris",
        )
    )
    entity = lago.billing_entities.find("default")
    assert (entity.city, entity.legal_name) == ("Lyon", "Followed SARL")
    assert (entity.document_numbering, entity.timezone) == ("per_billing_entity", "Europe/Paris")


async def test_managed_eu_vat_shows_on_customers(new_shop: NewShop, service: Service) -> None:
    shop = await new_shop("Managed")
    lago = _client_of(shop)
    lago.billing_entities.update(
        BillingEntityUpdate(name="Managed", country="FR", eu_tax_management=True), "default"
    )

    def codes(**fields: Any) -> list[str]:
        customer = lago.customers.create(Customer(external_id="c", **fields))
        return [tax.code for tax in customer.taxes.__root__]

    assert codes(country="FR") == ["eu_fr_standard"]
    assert codes(country="DE") == ["eu_de_standard"]
    assert codes(tax_identification_number="DE136695976") == ["eu_reverse_charge"]
    assert codes(country="US") == ["eu_tax_exempt"]
    assert lago.taxes.find("eu_fi_standard").rate == 25.5
    told = await _outbox(service, "customer.vies_check")
    assert [word["vies_check"] for word in told] == [
        {"valid": True, "country_code": "DE", "vat_number": "DE136695976"}
    ]
    assert told[0]["external_id"] == "c"
    refusal = shop.api.delete("/taxes/eu_fr_standard")
    assert (refusal.status_code, refusal.json()["code"]) == (405, "tax_is_managed")


def test_a_customer_is_billed_by_an_entity_that_there_is(api: httpx.Client) -> None:
    customer = {"external_id": "lago-nobodys", "billing_entity_code": "none"}

    answer = api.post("/customers", json={"customer": customer})

    assert refused(answer) == {"billing_entity_code": ["billing_entity_not_found"]}


async def _outbox(service: Service, webhook_type: str) -> list[Any]:
    connection = await asyncpg.connect(service.dsn, server_settings={"role": "wallet_worker"})
    rows = await connection.fetch(
        "select payload from invoicing.outbox where webhook_type = $1 order by id", webhook_type
    )
    await connection.close()
    return [json.loads(row["payload"]) for row in rows]


def _client_of(shop: Shop) -> Client:
    url = str(shop.api.base_url).removesuffix("/api/v1/")
    key = shop.api.headers["authorization"].removeprefix("Bearer ")
    return Client(api_key=key, api_url=url)


def _metric(code: str) -> BillableMetric:
    return BillableMetric(name=code, code=code, aggregation_type="count_agg", recurring=False)
