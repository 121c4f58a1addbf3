"""A wallet service of forty lines, to play against: prices are exact, balances are two dicts."""

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from wallet_service.client.requests import BASE_PATH, Request, read

PRICES = {"llm_input_tokens": Decimal("0.000001"), "llm_output_tokens": Decimal("0.00001")}

Answer = tuple[int, dict[str, Any]]


@dataclass
class SmallService:
    """What is held leaves ``free``; a capture takes from there, and what is missing is overage."""

    free: dict[str, Decimal] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)
    holds: dict[str, tuple[str, Decimal]] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    stale_balance_reads: int = 0
    refusal: Answer | None = None

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        url = urlsplit(target.removeprefix(BASE_PATH))
        content = json.loads(body) if body else None
        self.requests.append((f"{method} {url.path}", content))
        match url.path.split("/")[1:]:
            case ["customers"]:
                return 200, {"customer": {"lago_id": "c", **content["customer"]}}
            case ["wallets"]:
                return self._open_wallet(content["wallet"])
            case ["authorizations"]:
                return self.refusal or self._authorize(content["authorization"])
            case ["authorizations", hold_id, "capture"]:
                return self._capture(hold_id, content["capture"])
            case ["customers", customer, "balances"]:
                return self._balances(customer, is_ledger=url.query == "source=ledger")
            case _:
                return 404, {"status": 404, "code": "resource_not_found"}

    def _open_wallet(self, body: Any) -> Answer:
        customer = body["external_customer_id"]
        self.free[customer] = Decimal(body.get("granted_credits", 0))
        self.held[customer] = Decimal(0)
        amounts = dict.fromkeys(("credits_balance", "balance", "held", "available"), "0")
        known = {"lago_id": "w", "external_customer_id": customer, "status": "active"}
        return 200, {"wallet": {**known, **amounts, "asset_code": "USD", "rate_amount": "1"}}

    def _authorize(self, body: Any) -> Answer:
        customer, amount = body["external_customer_id"], _price(body["items"])
        if amount > self.free[customer]:
            return 402, {"status": 402, "code": "insufficient_funds"}
        self.free[customer] -= amount
        self.held[customer] += amount
        hold_id = body["transaction_id"]
        self.holds[hold_id] = (customer, amount)
        return 200, _authorization(hold_id, "held", amount, Decimal(0))

    def _capture(self, hold_id: str, body: Any) -> Answer:
        customer, held = self.holds[hold_id]
        used = _price(body["items"])
        self.held[customer] -= held
        self.free[customer] += held
        paid = min(used, self.free[customer])
        self.free[customer] -= paid
        debit = {"asset_code": "USD", "amount": str(paid), "overage": str(used - paid)}
        return 200, _authorization(hold_id, "captured", held, used, debits=[debit])

    def _balances(self, customer: str, *, is_ledger: bool) -> Answer:
        free = self.free[customer]
        if not is_ledger and self.stale_balance_reads:
            self.stale_balance_reads -= 1
            free += 1
        balance = {"asset_code": "USD", "available": str(free), "held": str(self.held[customer])}
        return 200, {"balances": [balance]}


def _price(items: Any) -> Decimal:
    return sum((PRICES[item["code"]] * item["properties"]["tokens"] for item in items), Decimal(0))


def _authorization(
    hold_id: str, status: str, amount: Decimal, captured: Decimal, **more: Any
) -> dict[str, Any]:
    return {
        "authorization": {
            "id": hold_id,
            "transaction_id": hold_id,
            "status": status,
            "amount": str(amount),
            "captured_amount": str(captured),
            "asset_code": "USD",
            "expires_at": "2026-03-10T12:01:00Z",
            **more,
        }
    }


@dataclass
class DirectSender:
    """Asks the service without a network, giving others their turn as a network would."""

    service: SmallService

    async def send(self, request: Request[Any]) -> Any:
        await asyncio.sleep(0)
        status, body = self.service.answer(request.method, request.path, request.body or b"")
        return read(request, status, {}, json.dumps(body).encode())
