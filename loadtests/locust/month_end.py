"""The last evening of a month: usage is read by everybody, prices change, grants and holds end."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from locust import between, constant_pacing, task

from loadtests.locust.service_user import RUN, ServiceUser, event

_PLAN = f"month-end-{RUN}"
_CODE = "llm_output_tokens"


def _charge(each: str) -> dict[str, object]:
    ranges = [
        {"from_value": 0, "to_value": 10_000, "per_unit_amount": each, "flat_amount": "0"},
        {"from_value": 10_001, "to_value": None, "per_unit_amount": "0.000005", "flat_amount": "0"},
    ]
    return {
        "billable_metric_code": _CODE,
        "code": "output",
        "charge_model": "graduated",
        "properties": {"graduated_ranges": ranges},
    }


class _OnThePlan(ServiceUser):
    """Makes the plan unless it is there."""

    abstract = True

    def on_start(self) -> None:
        super().on_start()
        plan: dict[str, Any] = {
            "code": _PLAN,
            "name": "Month end",
            "interval": "monthly",
            "amount_cents": 0,
            "amount_currency": "USD",
            "pay_in_advance": False,
            "charges": [_charge("0.00001")],
        }
        # Everybody tries; the first has made it.
        self.ask("POST", "/plans", {"plan": plan}, denials=(402, 422))


class Reader(_OnThePlan):
    """A customer who is told, again and again, what the month comes to."""

    weight = 20
    wait_time = between(0.1, 0.5)

    def on_start(self) -> None:
        super().on_start()
        subscription = {
            "external_customer_id": self.customer,
            "external_id": f"{self.customer}-month",
            "plan_code": _PLAN,
        }
        self.ask("POST", "/subscriptions", {"subscription": subscription})

    @task(6)
    def read_usage(self) -> None:
        path = f"/customers/{self.customer}/current_usage"
        query = f"?external_subscription_id={self.customer}-month"
        self.ask("GET", path + query, name="/customers/{id}/current_usage")

    @task(6)
    def use(self) -> None:
        one = event(self.customer, self.key(), tokens=random.randint(1, 5000))
        self.ask(
            "POST",
            "/events",
            {"event": {**one, "external_subscription_id": f"{self.customer}-month"}},
        )

    @task(3)
    def hold_what_expires(self) -> None:
        """A call whose end nobody hears of."""
        self.authorize(self.customer, expires_in=1, amount="0.001", asset_code="USD")

    @task(1)
    def get_what_expires(self) -> None:
        """Credits that end with the month."""
        end = datetime.now(UTC) + timedelta(seconds=3)
        self.ask(
            "POST",
            "/wallet_transactions",
            {
                "wallet_transaction": {
                    "wallet_id": self.wallet_id,
                    "granted_credits": "0.01",
                    "expires_at": end.isoformat(),
                    "transaction_id": self.key(),
                }
            },
        )


class PriceManager(_OnThePlan):
    """Changes a price every two seconds."""

    fixed_count = 1
    wait_time = constant_pacing(2)

    @task
    def change_the_price(self) -> None:
        each = f"0.0000{random.randint(10, 99)}"
        path = f"/plans/{_PLAN}/charges/output"
        self.ask("PUT", path, {"charge": _charge(each)}, name="/plans/{code}/charges/{code}")
