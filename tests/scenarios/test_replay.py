"""Traffic played through a real service costs exactly what arithmetic says."""

import asyncio
import csv
import random
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api.conftest import Service
from wallet_service.client import AsyncWallet

INPUT_PRICE = Decimal("0.0000025")  # of gpt-4o, per token
OUTPUT_PRICE = Decimal("0.00001")
CUSTOMERS = 3

Rows = list[tuple[int, int]]


@pytest.fixture
def trace(tmp_path: Path) -> tuple[Path, Rows]:
    """Sixty calls, some without any output."""
    chance = random.Random(20231116)
    rows = [(chance.randint(0, 4000), chance.choice((0, 1, 40, 800))) for _ in range(60)]
    return written(rows, tmp_path), rows


def written(rows: Rows, folder: Path) -> Path:
    path = folder / "trace.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("TIMESTAMP", "ContextTokens", "GeneratedTokens"))
        writer.writerows(("2023-11-16 18:15:46.6805900", *row) for row in rows)
    return path


def price(rows: Iterable[tuple[int, int]]) -> Decimal:
    return sum((i * INPUT_PRICE + o * OUTPUT_PRICE for i, o in rows), Decimal(0))


async def replay(service: Service, priced_key: str, trace: Path, *flags: str) -> dict[str, Any]:
    """Run the command as a program of its own, and return what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wallet_service.cli", "replay", str(trace), "--json"),
        *("--model", "gpt-4o", "--customers", str(CUSTOMERS), *flags),
        env={"WALLET_URL": service.url, "WALLET_API_KEY": priced_key, "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(), timeout=300)
    assert process.returncode == 0, stderr.decode()
    return msgspec.json.decode(stdout)


async def captured_rows(service: Service, priced_key: str) -> set[tuple[str, str]]:
    """Every captured amount, by the key of its call, as the service lists it."""
    async with AsyncWallet(url=service.url, api_key=priced_key) as wallet:
        return {
            (found.transaction_id, str(found.captured_amount))
            async for found in wallet.authorizations(status="captured")
        }


async def test_with_enough_money_the_trace_costs_its_exact_price(
    service: Service, priced_key: str, trace: tuple[Path, Rows]
) -> None:
    path, rows = trace
    found = await replay(service, priced_key, path, "--balance", "10", "--concurrency", "8")
    assert (found["calls"], found["approved"], found["captured"]) == (60, 60, 60)
    assert found["denied"] == 0
    assert Decimal(found["debited"]) == price(rows)
    assert (found["overage"], found["drift"]) == ("0", "0")
    assert found["authorize_ms"]["p50"] <= found["authorize_ms"]["p99"]


async def test_with_too_little_money_nothing_is_spent_twice_and_nothing_is_lost(
    service: Service, priced_key: str, tmp_path: Path
) -> None:
    """A small estimate lets calls through whose output the wallet cannot pay: overage, exactly.

    A call costs 0.00825 and holds 0.00033: six leave 0.0005 of each balance, so whatever their
    order, a seventh is let through that cannot be paid in full.
    """
    rows = [(100, 800)] * 60
    path = written(rows, tmp_path)
    before = await captured_rows(service, priced_key)
    balance = Decimal("0.05")
    found = await replay(
        service,
        priced_key,
        path,
        *("--balance", str(balance), "--concurrency", "8", "--hold-factor", "0.01"),
    )
    assert found["calls"] == found["approved"] + found["denied"] == 60
    assert found["denied"] > 0
    assert found["captured"] == found["approved"] > 0
    assert Decimal(found["debited"]) <= balance * CUSTOMERS
    assert found["drift"] == "0"

    captures = await captured_rows(service, priced_key) - before
    numbers = {int(key.rsplit("-", 1)[1]): Decimal(amount) for key, amount in captures}
    assert all(amount == price([rows[number]]) for number, amount in numbers.items())
    exact = price(rows[number] for number in numbers)
    assert Decimal(found["debited"]) + Decimal(found["overage"]) == exact
    assert Decimal(found["overage"]) > 0
