"""One customer's story, told from beginning to end by Lago's official client, unmodified."""

from datetime import UTC, datetime

import pytest
from lago_python_client.client import Client
from lago_python_client.exceptions import LagoApiError
from lago_python_client.models import (
    BatchEvent,
    BillableMetric,
    Charge,
    Charges,
    Customer,
    Event,
    Plan,
    Subscription,
    Wallet,
    WalletTransaction,
)
from lago_python_client.models.billable_metric import BillableMetricResponse
from lago_python_client.models.plan import PlanResponse

from tests.api.conftest import NewShop, Service
from tests.api.market import Shop, refused


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    """An organization of its own; the same as `lago` sees, for what the client has no words for."""
    return await new_shop("story")


@pytest.fixture(scope="module")
def lago(service: Service, shop: Shop) -> Client:
    key = shop.api.headers["Authorization"].removeprefix("Bearer ")
    return Client(api_key=key, api_url=service.url)


@pytest.fixture(scope="module")
def metric(lago: Client) -> BillableMetricResponse:
    return lago.billable_metrics.create(
        BillableMetric(name="Tokens", code="tokens", aggregation_type="sum_agg", field_name="count")
    )


@pytest.fixture(scope="module")
def plan(lago: Client, metric: BillableMetricResponse) -> PlanResponse:
    charge = Charge(
        billable_metric_id=metric.lago_id,
        charge_model="standard",
        properties={"amount": "0.01"},
    )
    return lago.plans.create(
        Plan(
            name="Pay as you go",
            code="payg",
            interval="monthly",
            amount_cents=0,
            amount_currency="USD",
            charges=Charges(__root__=[charge]),
        )
    )


@pytest.fixture
def acme(lago: Client, shop: Shop, plan: PlanResponse) -> str:
    """A customer with a subscription that is named like it, and no money yet."""
    external_id = shop.unique("acme")
    lago.customers.create(Customer(external_id=external_id, name="Acme", currency="USD"))
    lago.subscriptions.create(
        Subscription(external_customer_id=external_id, plan_code=plan.code, external_id=external_id)
    )
    return external_id


def usage(key: str, acme: str, count: object) -> Event:
    return Event(
        transaction_id=key,
        external_subscription_id=acme,
        code="tokens",
        timestamp=int(datetime.now(UTC).timestamp()),
        properties={"count": count},
    )


def test_a_customer_is_set_up_tops_up_uses_and_leaves(
    lago: Client, shop: Shop, metric: BillableMetricResponse, plan: PlanResponse
) -> None:
    customer = lago.customers.create(
        Customer(external_id="story", name="Story Inc.", currency="USD")
    )
    assert lago.customers.find("story") == customer
    assert lago.billable_metrics.find("tokens") == metric
    (charge,) = lago.plans.find("payg").charges.__root__
    assert (charge.billable_metric_code, charge.properties) == ("tokens", {"amount": "0.01"})

    subscription = lago.subscriptions.create(
        Subscription(external_customer_id="story", plan_code="payg", external_id="story-sub")
    )
    assert (subscription.status, subscription.lago_customer_id) == ("active", customer.lago_id)
    assert lago.subscriptions.find("story-sub") == subscription

    wallet = lago.wallets.create(
        Wallet(
            external_customer_id="story",
            name="Prepaid",
            rate_amount="1",
            currency="USD",
            granted_credits="5",
        )
    )
    assert (wallet.status, wallet.balance_cents, wallet.credits_balance) == ("active", 500, "5.0")
    assert lago.wallets.find(wallet.lago_id) == wallet

    (top_up,) = lago.wallet_transactions.create(
        WalletTransaction(wallet_id=wallet.lago_id, paid_credits="10")
    )["wallet_transactions"]
    assert (top_up.status, top_up.transaction_status) == ("pending", "purchased")
    assert lago.wallets.find(wallet.lago_id).balance_cents == 500
    shop.ok(f"/wallet_transactions/{top_up.lago_id}/settle")
    assert lago.wallets.find(wallet.lago_id).balance_cents == 1500
    listed = lago.wallet_transactions.find_all(wallet.lago_id)["wallet_transactions"]
    assert [one.credit_amount for one in listed] == ["10.0", "5.0"]
    assert (listed[0].lago_id, listed[0].status) == (top_up.lago_id, "settled")

    event = lago.events.create(usage("story-1", "story-sub", 100))
    assert (event.lago_subscription_id, event.lago_customer_id) == (
        subscription.lago_id,
        customer.lago_id,
    )
    assert lago.events.find("story-1") == event
    assert lago.wallets.find(wallet.lago_id).balance_cents == 1400
    batch = [usage(f"story-{n}", "story-sub", str(n)) for n in range(2, 5)]
    assert lago.events.batch_create(BatchEvent(events=batch)) is None
    assert lago.events.find("story-4").properties == {"count": "4"}
    after = lago.wallets.find(wallet.lago_id)
    assert (after.balance_cents, after.credits_balance) == (1391, "13.91")
    assert after.consumed_credits == "1.09"

    ended = lago.subscriptions.destroy("story-sub")
    assert ended.status == "terminated"
    assert lago.subscriptions.find("story-sub", {"status": "terminated"}) == ended
    assert lago.wallets.destroy(wallet.lago_id).status == "terminated"


def test_a_repeated_event_is_charged_once(lago: Client, shop: Shop, acme: str) -> None:
    shop.wallet(acme, granted_credits="10")
    event = usage(shop.unique("event"), acme, 7)
    assert lago.events.create(event) == lago.events.create(event)
    assert shop.balance(acme) == ("9.93", "0", "0")


def test_another_event_under_the_same_key_is_refused_in_lagos_words(
    lago: Client, shop: Shop, acme: str
) -> None:
    key = shop.unique("event")
    lago.events.create(usage(key, acme, 7))
    with pytest.raises(LagoApiError) as refusal:
        lago.events.create(usage(key, acme, 8))
    assert refusal.value.status_code == 422
    assert refusal.value.response["error_details"] == {"transaction_id": ["value_already_exist"]}


def test_a_malformed_event_refuses_its_batch_by_index(lago: Client, shop: Shop, acme: str) -> None:
    shop.wallet(acme, granted_credits="10")
    good, bad = (usage(shop.unique("event"), acme, 7) for _ in range(2))
    bad.code = ""
    with pytest.raises(LagoApiError) as refusal:
        lago.events.batch_create(BatchEvent(events=[good, bad]))
    assert refusal.value.response["error_details"] == {"1": {"code": ["value_is_mandatory"]}}
    assert shop.balance(acme) == ("10", "0", "0")


def test_an_event_that_named_no_subscription_can_be_read(
    lago: Client, shop: Shop, acme: str
) -> None:
    sent = [
        shop.charged(external_customer_id=acme, code="tokens", properties={"count": 1}),
        shop.charged(external_customer_id="nobody", code="tokens", properties={"count": 1}),
    ]
    found = [lago.events.find(event["transaction_id"]) for event in sent]
    assert [event.external_subscription_id for event in found] == [acme, ""]
    assert [event.lago_id for event in found] == [event["lago_id"] for event in sent]


def test_usage_of_a_capture_can_be_read(lago: Client, shop: Shop, acme: str) -> None:
    shop.wallet(acme, granted_credits="10")
    hold = shop.held(acme, code="tokens", properties={"count": 100})
    shop.done(hold, "capture", items=[{"code": "tokens", "properties": {"count": 40}}])
    event = lago.events.find(f"authorization:{hold['id']}:final:0")
    assert (event.external_subscription_id, event.properties) == (acme, {"count": 40})
    stolen = usage(f"authorization:{hold['id']}:final:1", acme, 1)
    assert refused(shop.post("/events", event=stolen.dict(exclude_none=True))) == {
        "transaction_id": ["value_is_invalid"]
    }
