"""Estimates through Lago's official client, unmodified."""

import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    BillableMetric,
    Charge,
    Charges,
    Event,
    Plan,
    Subscription,
)


@pytest.fixture(scope="module")
def subscription(lago: Client) -> str:
    """Somebody who pays for gigabytes in advance, the dearer the more."""
    metric = lago.billable_metrics.create(
        BillableMetric(
            name="Gigabytes",
            code="lago-estimated",
            aggregation_type="sum_agg",
            field_name="gb",
        )
    )
    lago.plans.create(
        Plan(
            name="Estimated",
            code="lago-estimated",
            interval="monthly",
            amount_cents=0,
            amount_currency="EUR",
            charges=Charges(
                __root__=[
                    Charge(
                        billable_metric_id=metric.lago_id,
                        charge_model="graduated",
                        pay_in_advance=True,
                        properties={
                            "graduated_ranges": [
                                {
                                    "from_value": 0,
                                    "to_value": 5,
                                    "per_unit_amount": "0.02",
                                    "flat_amount": "0.01",
                                },
                                {
                                    "from_value": 6,
                                    "to_value": None,
                                    "per_unit_amount": "0.01",
                                    "flat_amount": "0.01",
                                },
                            ],
                            "pricing_group_keys": ["region", "user"],
                        },
                    )
                ]
            ),
        )
    )
    lago.subscriptions.create(
        Subscription(
            external_customer_id="lago-estimated",
            external_id="lago-estimated",
            plan_code="lago-estimated",
        )
    )
    return "lago-estimated"


def event_of(subscription: str, name: str, gb: object) -> Event:
    return Event(
        transaction_id=f"lago-estimated-{name}",
        external_subscription_id=subscription,
        code="lago-estimated",
        properties={"gb": gb, "region": "eu"},
    )


def test_fees_are_estimated_before_each_event(lago: Client, subscription: str) -> None:
    # Source: lago.md §3.3, pay_in_advance_charges_spec.rb.
    for name, gb, cents in (("a", 3, 7), ("b", 1, 2), ("c", 2, 4)):
        event = event_of(subscription, name, gb)
        (fee,) = lago.events.estimate_fees(event)["fees"]
        assert (fee.amount_cents, fee.amount_currency) == (cents, "EUR")
        assert (fee.units, fee.events_count, fee.pay_in_advance) == (f"{gb}.0", 1, True)
        assert fee.total_amount_cents == fee.sub_total_excluding_taxes_amount_cents == cents
        assert (fee.taxes_amount_cents, fee.taxes_rate) == (0, 0.0)
        assert fee.item.code == "lago-estimated"
        assert fee.item.grouped_by == {"region": "eu"}
        assert fee.event_transaction_id == event.transaction_id
        assert fee.applied_taxes.__root__ == []
        lago.events.create(event)


def test_what_cannot_be_priced_is_an_error_of_the_client(lago: Client, subscription: str) -> None:
    with pytest.raises(LagoApiError) as refused:
        lago.events.estimate_fees(event_of(subscription, "d", "many"))
    assert refused.value.status_code == 422
    assert refused.value.response["error_details"] == {"properties.gb": ["value_is_invalid"]}
