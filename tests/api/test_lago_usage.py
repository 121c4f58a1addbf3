"""Usage as Lago's official client reads it, unmodified."""

import json
from datetime import UTC, datetime

import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError

from tests.api.conftest import NewShop, Service
from tests.api.market import Shop, standard


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """Tokens of two models, in a plan by the month."""
    shop = await new_shop("lago-usage")
    tokens = shop.metric("tokens", field="tokens", model=["gpt", "o3"])
    cheap = {"values": {"model": ["gpt"]}, "properties": {"amount": "0.001"}}
    shop.plan("llm", standard(tokens, "0.01", filters=[cheap], invoice_display_name="Tokens"))
    return shop


@pytest.fixture(scope="module")
def client(shop: Shop, service: Service) -> Client:
    key = shop.api.headers["Authorization"].removeprefix("Bearer ")
    return Client(api_key=key, api_url=service.url)


def use(shop: Shop, subscription: str, tokens: int, **terms) -> None:
    properties = {"tokens": tokens} | terms.pop("properties", {})
    shop.charged(
        code="tokens", external_subscription_id=subscription, properties=properties, **terms
    )


def test_current_usage_is_read(shop: Shop, client: Client) -> None:
    customer = shop.customer("llm", granted_credits="100")
    use(shop, f"{customer}-0", 150)
    use(shop, f"{customer}-0", 2500, properties={"model": "gpt"})

    usage = client.customers.current_usage(customer, f"{customer}-0", apply_taxes="false")

    assert usage.from_datetime.endswith("Z")
    assert usage.to_datetime.endswith("T23:59:59Z")
    assert (usage.currency, usage.lago_invoice_id) == ("USD", None)
    assert (usage.amount_cents, usage.taxes_amount_cents, usage.total_amount_cents) == (400, 0, 400)
    (charge,) = usage.charges_usage
    assert (charge.units, charge.events_count, charge.amount_cents) == ("2650.0", 2, 400)
    assert charge.charge.charge_model == "standard"
    assert charge.charge.invoice_display_name == "Tokens"
    assert (charge.billable_metric.code, charge.billable_metric.aggregation_type) == (
        "tokens",
        "sum_agg",
    )
    gpt, rest = charge.filters
    assert (gpt.values, gpt.units, gpt.amount_cents) == ({"model": ["gpt"]}, "2500.0", 250)
    assert (rest.values, rest.units, rest.amount_cents) == ({}, "150.0", 150)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_current_usage_is_narrowed_in_every_way_the_client_knows(
    shop: Shop, client: Client
) -> None:
    customer = shop.customer("llm")
    use(shop, f"{customer}-0", 1)
    whole = client.customers.current_usage(customer, f"{customer}-0")
    charge_id = whole.charges_usage[0].charge.lago_id

    for terms in (
        {"charge_id": charge_id},
        {"charge_code": "tokens"},
        {"billable_metric_code": "tokens"},
        {"filter_by_charge_id": charge_id},
        {"filter_by_charge_code": "tokens"},
        {"filter_by_presentation": ["team"]},
        {"filter_by_presentation": "team"},
        {"full_usage": True},
    ):
        found = client.customers.current_usage(customer, f"{customer}-0", **terms)
        assert found.charges_usage == whole.charges_usage, terms
    for terms in (
        {"charge_code": "calls"},
        {"billable_metric_code": "calls"},
        {"group": {"region": "eu"}},
        {"filter_by_group": {"region": "eu"}},
    ):
        found = client.customers.current_usage(customer, f"{customer}-0", **terms)
        assert (found.charges_usage, found.amount_cents) == ([], 0), terms


def test_projected_usage_is_read(shop: Shop, client: Client) -> None:
    customer = shop.customer("llm")
    use(shop, f"{customer}-0", 100)

    usage = client.customers.projected_usage(customer, f"{customer}-0")

    first, last = (datetime.fromisoformat(day) for day in (usage.from_datetime, usage.to_datetime))
    days = (last.date() - first.date()).days + 1
    passed = (datetime.now(UTC).date() - first.date()).days + 1
    (charge,) = usage.charges_usage
    assert (charge.units, charge.amount_cents, usage.amount_cents) == ("100.0", 100, 100)
    assert float(charge.projected_units) == pytest.approx(100 * days / passed)
    assert charge.projected_amount_cents == usage.projected_amount_cents


def test_past_usage_is_read_page_by_page(shop: Shop, client: Client) -> None:
    customer = shop.customer()
    shop.ok(
        "/subscriptions",
        subscription={
            "external_id": customer,
            "external_customer_id": customer,
            "plan_code": "llm",
            "subscription_at": "2025-11-15T10:00:00Z",
        },
    )
    december = int(datetime(2025, 12, 24, tzinfo=UTC).timestamp())
    use(shop, customer, 12, timestamp=december)

    page = client.customers.past_usage(customer, customer, {"per_page": 2})

    assert page["meta"]["total_count"] > 2
    assert len(page["usage_periods"]) == 2
    last = page["meta"]["total_count"]
    options = {"per_page": 1, "page": last - 1, "billable_metric_code": "tokens"}
    (then,) = client.customers.past_usage(customer, customer, options)["usage_periods"]
    assert (then.from_datetime, then.to_datetime, then.issuing_date) == (
        "2025-12-01T00:00:00Z",
        "2025-12-31T23:59:59Z",
        "2026-01-01",
    )
    assert (then.amount_cents, then.charges_usage[0].units) == (12, "12.0")
    options = {"per_page": 1, "page": last}
    (first,) = client.customers.past_usage(customer, customer, options)["usage_periods"]
    assert first.from_datetime == "2025-11-15T10:00:00Z"
    newest = client.customers.past_usage(customer, customer, {"periods_count": 1})
    assert newest["meta"]["total_count"] == 1


def test_who_is_unknown_has_no_usage(shop: Shop, client: Client) -> None:
    customer = shop.customer("llm")
    for read, code in (
        (client.customers.current_usage, "no_active_subscription"),
        (client.customers.projected_usage, "no_active_subscription"),
        (client.customers.past_usage, "subscription_not_found"),
    ):
        with pytest.raises(LagoApiError) as unknown:
            read("nobody", "nothing")
        assert json.loads(json.dumps(unknown.value.response))["code"] == "customer_not_found"
        with pytest.raises(LagoApiError) as refused:
            read(customer, "nothing")
        assert refused.value.response["code"] == code
