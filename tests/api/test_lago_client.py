"""Lago's official Python client, unmodified, against this service."""

from datetime import UTC, datetime, timedelta

import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    BillableMetric,
    BillableMetricFilter,
    BillableMetricFilters,
    Charge,
    ChargeFilter,
    ChargeFilters,
    Charges,
    Customer,
    CustomerBillingConfiguration,
    Metadata,
    MetadataList,
    Organization,
    Plan,
    Subscription,
)


def tokens_metric(lago: Client, code: str):
    return lago.billable_metrics.create(
        BillableMetric(
            name="Tokens",
            code=code,
            description="Tokens of a language model",
            aggregation_type="sum_agg",
            field_name="tokens",
            filters=BillableMetricFilters(
                __root__=[BillableMetricFilter(key="model", values=["gpt-4o", "o3"])]
            ),
        )
    )


def tokens_plan(lago: Client, code: str, metric_id: str):
    return lago.plans.create(
        Plan(
            name="Pay as you go",
            code=code,
            interval="monthly",
            amount_cents=1000,
            amount_currency="USD",
            trial_period=3.0,
            pay_in_advance=False,
            charges=Charges(
                __root__=[
                    Charge(
                        billable_metric_id=metric_id,
                        charge_model="standard",
                        properties={"amount": "0.0000025"},
                        filters=ChargeFilters(
                            __root__=[
                                ChargeFilter(
                                    values={"model": ["o3"]}, properties={"amount": "0.000002"}
                                )
                            ]
                        ),
                    )
                ]
            ),
        )
    )


def test_a_customer_is_created_changed_found_listed_and_deleted(lago: Client) -> None:
    created = lago.customers.create(
        Customer(
            external_id="lago-client-acme",
            name="Acme",
            currency="EUR",
            timezone="Europe/Berlin",
            billing_configuration=CustomerBillingConfiguration(invoice_grace_period=3),
            metadata=MetadataList(__root__=[Metadata(key="tier", value="gold")]),
        )
    )
    assert (created.name, created.currency) == ("Acme", "EUR")
    assert created.applicable_timezone == "Europe/Berlin"
    assert created.billing_configuration.invoice_grace_period == 3
    assert created.metadata.__root__[0].value == "gold"

    changed = lago.customers.create(Customer(external_id="lago-client-acme", email="a@acme.test"))
    assert changed.lago_id == created.lago_id
    assert (changed.name, changed.email) == ("Acme", "a@acme.test")

    assert lago.customers.find("lago-client-acme") == changed
    listed = lago.customers.find_all({"per_page": 1000})
    assert changed in listed["customers"]
    assert listed["meta"]["current_page"] == 1

    assert lago.customers.destroy("lago-client-acme").lago_id == created.lago_id
    with pytest.raises(LagoApiError) as refused:
        lago.customers.find("lago-client-acme")
    assert refused.value.status_code == 404
    assert refused.value.response["code"] == "customer_not_found"


def test_a_metric_is_created_changed_found_listed_and_deleted(lago: Client) -> None:
    created = tokens_metric(lago, "lago-client-tokens")
    assert created.filters.__root__[0].values == ["gpt-4o", "o3"]

    changed = lago.billable_metrics.update(BillableMetric(name="All tokens"), "lago-client-tokens")
    assert (changed.lago_id, changed.name) == (created.lago_id, "All tokens")
    assert changed.field_name == "tokens"

    assert lago.billable_metrics.find("lago-client-tokens") == changed
    assert changed in lago.billable_metrics.find_all({"per_page": 1000})["billable_metrics"]

    assert lago.billable_metrics.destroy("lago-client-tokens").lago_id == created.lago_id
    with pytest.raises(LagoApiError) as refused:
        lago.billable_metrics.find("lago-client-tokens")
    assert refused.value.response["code"] == "billable_metric_not_found"


def test_a_plan_is_created_changed_found_listed_and_deleted(lago: Client) -> None:
    metric = tokens_metric(lago, "lago-client-plan-tokens")
    created = tokens_plan(lago, "lago-client-plan", metric.lago_id)
    charge = created.charges.__root__[0]
    assert created.trial_period == 3.0
    assert charge.billable_metric_code == "lago-client-plan-tokens"
    assert charge.properties == {"amount": "0.0000025"}
    assert charge.filters.__root__[0].values == {"model": ["o3"]}

    changed = lago.plans.update(
        Plan(
            name="Dearer",
            charges=Charges(
                __root__=[Charge(id=charge.lago_id, properties={"amount": "0.000003"})]
            ),
        ),
        "lago-client-plan",
    )
    assert changed.name == "Dearer"
    assert changed.amount_cents == 1000
    kept = changed.charges.__root__[0]
    assert kept.lago_id == charge.lago_id
    assert kept.code == charge.code
    assert kept.properties == {"amount": "0.000003"}
    assert kept.filters == charge.filters

    assert lago.plans.find("lago-client-plan") == changed
    assert changed in lago.plans.find_all({"per_page": 1000})["plans"]

    assert lago.plans.destroy("lago-client-plan").lago_id == created.lago_id
    with pytest.raises(LagoApiError) as refused:
        lago.plans.find("lago-client-plan")
    assert refused.value.response["code"] == "plan_not_found"


def test_a_subscription_is_created_changed_found_listed_and_terminated(lago: Client) -> None:
    metric = tokens_metric(lago, "lago-client-sub-tokens")
    tokens_plan(lago, "lago-client-sub-plan", metric.lago_id)
    created = lago.subscriptions.create(
        Subscription(
            external_customer_id="lago-client-subscriber",
            plan_code="lago-client-sub-plan",
            external_id="lago-client-sub",
            name="First",
            billing_time="calendar",
        )
    )
    assert (created.status, created.plan_code) == ("active", "lago-client-sub-plan")
    assert lago.customers.find("lago-client-subscriber").currency == "USD"

    ends = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    changed = lago.subscriptions.update(
        Subscription(name="Renamed", ending_at=ends), "lago-client-sub"
    )
    assert (changed.name, changed.ending_at) == ("Renamed", ends)

    assert lago.subscriptions.find("lago-client-sub") == changed
    listed = lago.subscriptions.find_all({"external_customer_id": "lago-client-subscriber"})
    assert listed["subscriptions"] == [changed]

    ended = lago.subscriptions.destroy("lago-client-sub")
    assert ended.status == "terminated"
    assert ended.terminated_at is not None
    with pytest.raises(LagoApiError) as refused:
        lago.subscriptions.find("lago-client-sub")
    assert refused.value.response["code"] == "subscription_not_found"
    found = lago.subscriptions.find("lago-client-sub", {"status": "terminated"})
    assert found == ended


def test_the_organization_can_be_changed(lago: Client) -> None:
    changed = lago.organizations.update(
        Organization(default_currency="EUR", legal_name="Acme Inc.", net_payment_term=14)
    )
    assert (changed.name, changed.legal_name, changed.net_payment_term) == ("Acme", "Acme Inc.", 14)


def test_what_is_wrong_is_told_by_field_and_code(lago: Client) -> None:
    with pytest.raises(LagoApiError) as refused:
        lago.customers.create(Customer(external_id="lago-client-bad", currency="XXX"))
    assert refused.value.status_code == 422
    assert refused.value.response == {
        "status": 422,
        "error": "Unprocessable Entity",
        "code": "validation_errors",
        "error_details": {"currency": ["value_is_invalid"]},
    }


def test_an_unknown_key_opens_nothing(service) -> None:
    stranger = Client(api_key="00000000-0000-4000-8000-000000000000", api_url=service.url)
    with pytest.raises(LagoApiError) as refused:
        stranger.customers.find_all()
    assert refused.value.status_code == 401
    assert refused.value.response == {"status": 401, "error": "Unauthorized"}
