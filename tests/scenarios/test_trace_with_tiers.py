"""A real trace of model calls under prices that depend on what was used before.

However many senders there are: what was debited in real time and the true-up are, together, the
exact price of the period, computed here from the tokens alone.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.api.conftest import NewShop, Service
from tests.api.conftest import new_shop as new_shop
from tests.api.market import Json, Shop
from wallet_service.cli.replay.trace import Call, read_trace

TRACE = Path(__file__).parents[3] / "shared" / "data" / "AzureLLMInferenceTrace_conv.csv"
CALLS = 600
CUSTOMERS = 3

# A first tier of fifty thousand tokens, then half the price; and volumes that get cheaper as a
# whole with each customer's last calls, so that more was debited on the way than they cost.
INPUT_TIERS = ((50_000, Decimal("0.000003")), (None, Decimal("0.0000015")))
OUTPUT_VOLUMES = ((50_000, Decimal("0.00002")), (None, Decimal("0.000017")))


def graduated_price(units: int) -> Decimal:
    (first, dear), (_, cheap) = INPUT_TIERS
    assert first is not None
    return min(units, first) * dear + max(units - first, 0) * cheap + Decimal("0.5")


def volume_price(units: int) -> Decimal:
    (first, dear), (_, cheap) = OUTPUT_VOLUMES
    assert first is not None
    return units * (dear if units <= first else cheap)


def ranges(tiers: Iterable[tuple[int | None, Decimal]], *, flat: str) -> list[Json]:
    made: list[Json] = []
    start, fee = 0, flat
    for end, price in tiers:
        made.append(
            {
                "from_value": start,
                "to_value": end,
                "per_unit_amount": str(price),
                "flat_amount": fee,
            }
        )
        start, fee = (end or 0) + 1, "0"
    return made


@pytest.fixture(scope="module")
async def shop(new_shop: NewShop) -> Shop:
    shop = await new_shop("tiers")
    inputs = shop.metric("llm_input_tokens", field="tokens")
    outputs = shop.metric("llm_output_tokens", field="tokens")
    shop.plan(
        "tiers",
        {
            "billable_metric_id": inputs,
            "charge_model": "graduated",
            "properties": {"graduated_ranges": ranges(INPUT_TIERS, flat="0.5")},
        },
        {
            "billable_metric_id": outputs,
            "charge_model": "volume",
            "properties": {"volume_ranges": ranges(OUTPUT_VOLUMES, flat="0")},
        },
    )
    return shop


async def replay(shop: Shop, service: Service, *, senders: int) -> dict[str, Any]:
    """Play the trace with so many calls at a time, and return what the command says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wallet_service.cli", "replay", str(TRACE), "--json"),
        *("--model", "gpt-4o", "--customers", str(CUSTOMERS), "--balance", "1000"),
        *("--plan", "tiers", "--limit", str(CALLS), "--concurrency", str(senders)),
        env={"WALLET_URL": service.url, "WALLET_API_KEY": key_of(shop.api), "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), timeout=600)
    assert process.returncode == 0, stderr.decode()
    return msgspec.json.decode(stdout)


def key_of(api: httpx.Client) -> str:
    return api.headers["Authorization"].removeprefix("Bearer ")


def usage_of(shop: Shop, customer: str) -> list[Json]:
    """What the customer has used in this period, a charge each."""
    answer = shop.api.get(
        f"/customers/{customer}/current_usage", params={"external_subscription_id": customer}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["customer_usage"]["charges_usage"]


def exact_prices(calls: Sequence[Call]) -> dict[str, Decimal]:
    return {
        "llm_input_tokens": graduated_price(sum(call.input_tokens for call in calls)),
        "llm_output_tokens": volume_price(sum(call.output_tokens for call in calls)),
    }


@pytest.mark.skipif(not TRACE.exists(), reason=f"{TRACE.name} is not here")
@pytest.mark.parametrize("senders", [1, 8, 64])
async def test_debits_and_true_up_are_the_exact_price(
    shop: Shop, service: Service, senders: int
) -> None:
    played = await replay(shop, service, senders=senders)
    assert (played["captured"], played["overage"], played["drift"]) == (CALLS, "0", "0")

    calls = read_trace(TRACE)[:CALLS]
    debited = Decimal(0)
    for number in range(CUSTOMERS):
        customer = f"{played['run']}-{number}"
        exact = exact_prices(calls[number::CUSTOMERS])
        for usage in usage_of(shop, customer):
            code = usage["billable_metric"]["code"]
            paid, true_up = Decimal(usage["debited_amount"]), Decimal(usage["true_up_amount"])
            assert Decimal(usage["amount"]) == paid + true_up == exact[code]
            cents = (exact[code] * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)
            assert usage["amount_cents"] == cents
            # Graduated prices only rise, so the true-up has nothing to do; volumes have fallen.
            assert (true_up < 0) == (code == "llm_output_tokens")
            debited += paid
    assert debited == Decimal(played["debited"])
