"""What the stories share: a customer with money, and answers that are judged.

Where the service is stands in WALLET_URL and WALLET_API_KEY, as for the Python client.
"""

import os
import secrets
from collections.abc import Collection
from itertools import count
from typing import Any, Final

from locust import FastHttpUser

BASE: Final = "/api/v1"
MODEL: Final = "gpt-4o"
RUN: Final = secrets.token_hex(4)
"""Names of one run differ from those of the next."""
_numbers = count(1)


class ServiceUser(FastHttpUser):
    """A caller of the service, with one customer of its own."""

    abstract = True
    host = os.environ.get("WALLET_URL", "http://127.0.0.1:8080")
    granted = "1000"

    def on_start(self) -> None:
        """Open the customer's account."""
        self._key = count(1)
        self.name = f"{RUN}-{next(_numbers)}"
        self.customer = self.open_customer(self.name)

    def open_customer(self, name: str) -> str:
        """A customer with a wallet; once, however often it is asked for."""
        customer = {"external_id": name, "currency": "USD"}
        self.ask("POST", "/customers", {"customer": customer})
        wallet = {
            "external_customer_id": name,
            "rate_amount": "1",
            "currency": "USD",
            "granted_credits": self.granted,
            "transaction_id": f"wallet-{name}",
        }
        opened = self.ask("POST", "/wallets", {"wallet": wallet})
        self.wallet_id = opened["wallet"]["lago_id"] if opened else ""
        return name

    def key(self) -> str:
        """A new key of idempotency."""
        return f"{self.name}-{next(self._key)}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        name: str | None = None,
        denials: Collection[int] = (402,),
    ) -> Any:
        """The answer, or None for a denial, which is an answer too; all else is a failure."""
        client: Any = self.client
        with client.request(
            method,
            BASE + path,
            json=body,
            name=name or path,
            headers={"Authorization": f"Bearer {os.environ.get('WALLET_API_KEY', '')}"},
            catch_response=True,
        ) as answer:
            if answer.status_code == 200:
                answer.success()
                return answer.json()
            if answer.status_code in denials:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} {(answer.text or '')[:200]}")
            return None

    # -- what most stories do ----------------------------------------------------------------------

    def authorize(self, customer: str, *, expires_in: int = 60, **what: object) -> str | None:
        """Hold the price of a call; its id, or None if it was denied."""
        asked = {
            "external_customer_id": customer,
            "transaction_id": self.key(),
            "expires_in": expires_in,
            **(what or {"items": call_items(tokens_in=400, tokens_out=800)}),
        }
        answer = self.ask("POST", "/authorizations", {"authorization": asked})
        return answer["authorization"]["id"] if answer else None

    def capture(self, hold: str, **what: object) -> Any:
        """Settle with what was used."""
        asked = {"capture": {"transaction_id": self.key(), **what}}
        path = f"/authorizations/{hold}/capture"
        return self.ask("POST", path, asked, name="/authorizations/{id}/capture")

    def balances(self, customer: str) -> Any:
        path = f"/customers/{customer}/balances"
        return self.ask("GET", path, name="/customers/{id}/balances")


def call_items(*, tokens_in: int, tokens_out: int) -> list[dict[str, object]]:
    """What a call of a language model is priced by."""
    return [
        {"code": "llm_input_tokens", "properties": {"model": MODEL, "tokens": tokens_in}},
        {"code": "llm_output_tokens", "properties": {"model": MODEL, "tokens": tokens_out}},
    ]


def event(customer: str, key: str, *, tokens: int) -> dict[str, object]:
    """Usage that has happened."""
    return {
        "transaction_id": key,
        "external_customer_id": customer,
        "code": "llm_output_tokens",
        "properties": {"model": MODEL, "tokens": tokens},
    }
