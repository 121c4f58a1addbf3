"""A shop with prices, as clients set it up over HTTP: metrics, plans, customers, wallets."""

import itertools
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

_numbers = itertools.count(1)

Json = dict[str, Any]


class Shop:
    """One organization's side of the API, in few words. Every name it gives out is new."""

    def __init__(self, api: httpx.Client, name: str) -> None:
        self.api = api
        self.name = name

    def unique(self, what: str) -> str:
        """A name that nobody else uses."""
        return f"{self.name}-{what}-{next(_numbers)}"

    # -- the catalogue

    def metric(self, code: str, *, field: str | None = None, **filters: list[str]) -> str:
        """A metric that sums a property, or counts; returns its id."""
        metric: Json = {
            "name": code,
            "code": code,
            "aggregation_type": "sum_agg" if field else "count_agg",
            "filters": [{"key": key, "values": values} for key, values in filters.items()],
        }
        if field:
            metric["field_name"] = field
        return self.ok("/billable_metrics", billable_metric=metric)["billable_metric"]["lago_id"]

    def plan(self, code: str, *charges: Json, **terms: Any) -> Json:
        """A plan in dollars with these charges."""
        plan: Json = {
            "name": code,
            "code": code,
            "interval": "monthly",
            "amount_cents": 0,
            "amount_currency": "USD",
            "charges": list(charges),
        }
        return self.ok("/plans", plan=plan | terms)["plan"]

    # -- who pays

    def customer(self, *plans: str, **wallet: Any) -> str:
        """A customer with a subscription to each plan, and a wallet if its terms are given."""
        external_id = self.unique("customer")
        self.ok("/customers", customer={"external_id": external_id, "currency": "USD"})
        for position, plan in enumerate(plans):
            self.subscribe(external_id, plan, f"{external_id}-{position}")
        if wallet:
            self.wallet(external_id, **wallet)
        return external_id

    def subscribe(self, customer: str, plan: str, external_id: str) -> None:
        """A subscription."""
        self.ok(
            "/subscriptions",
            subscription={
                "external_id": external_id,
                "external_customer_id": customer,
                "plan_code": plan,
            },
        )

    def wallet(self, customer: str, **terms: Any) -> Json:
        """A wallet; `granted_credits` are dollars."""
        wallet = {"external_customer_id": customer, "rate_amount": "1"} | terms
        return self.ok("/wallets", wallet=wallet)["wallet"]

    def balances(self, customer: str, *, source: str = "hot") -> list[Json]:
        """All that a customer has."""
        answer = self.api.get(f"/customers/{customer}/balances", params={"source": source})
        assert answer.status_code == 200, answer.text
        return answer.json()["balances"]

    def balance(self, customer: str, asset: str = "USD") -> tuple[str, str, str]:
        """Available, held and owed in one asset; what is read fast is what the ledger says."""
        found = self.balances(customer)
        assert found == self.balances(customer, source="ledger")
        shown = next(one for one in found if one["asset_code"] == asset)
        return shown["available"], shown["held"], shown["overage"]

    # -- requests

    def post(
        self, path: str, headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Post an envelope."""
        return self.api.post(path, json=body, headers=headers)

    def ok(self, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> Json:
        """Post an envelope that is accepted."""
        answer = self.post(path, headers, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def authorize(self, customer: str, **terms: Any) -> httpx.Response:
        """Ask for a hold, under a new key unless one is given."""
        given = {"external_customer_id": customer, "transaction_id": self.unique("call")} | terms
        return self.post("/authorizations", authorization=given)

    def held(self, customer: str, **terms: Any) -> Json:
        """A hold."""
        answer = self.authorize(customer, **terms)
        assert answer.status_code == 200, answer.text
        return answer.json()["authorization"]

    def on(self, hold: Json, action: str, **terms: Any) -> httpx.Response:
        """Capture, extend, refund or void a hold."""
        body = {} if action == "void" else {action: terms}
        return self.post(f"/authorizations/{hold['id']}/{action}", **body)

    def done(self, hold: Json, action: str, **terms: Any) -> Json:
        """The same where it is accepted."""
        answer = self.on(hold, action, **terms)
        assert answer.status_code == 200, answer.text
        return answer.json()["authorization"]

    def event(self, **terms: Any) -> httpx.Response:
        """Send an event, under a new key unless one is given."""
        return self.post("/events", event={"transaction_id": self.unique("event")} | terms)

    def charged(self, **terms: Any) -> Json:
        """An event that is accepted."""
        answer = self.event(**terms)
        assert answer.status_code == 200, answer.text
        return answer.json()["event"]


def standard(metric_id: str, amount: str, **terms: Any) -> Json:
    """A charge at one price a unit."""
    charge = {
        "billable_metric_id": metric_id,
        "charge_model": "standard",
        "properties": {"amount": amount},
    }
    return charge | terms


def refused(answer: httpx.Response, status: int = 422) -> Any:
    """What a refusal says: its fields, or its code. Its shape is always the same."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = msgspec.json.decode(answer.content)
    assert body["status"] == status
    assert set(body) <= {"status", "error", "code", "error_details", "message"}
    if status == 422:
        assert body["code"] == "validation_errors"
        return body["error_details"]
    return body.get("code")
