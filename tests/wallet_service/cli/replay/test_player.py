from decimal import Decimal

import pytest

from tests.wallet_service.cli.replay.small_service import DirectSender, SmallService
from wallet_service.cli.replay.player import Aborted, Player
from wallet_service.cli.replay.trace import Call

CALLS = [Call(1000, 100), Call(2000, 300), Call(3000, 50)]
# 6000 input tokens and 450 output tokens
COST = Decimal("0.0105")


async def playing(
    service: SmallService, *, balance: str, customers: int = 2, estimate: int = 150
) -> Player:
    senders = [DirectSender(service) for _ in range(2)]
    player = Player(senders, model="gpt-4o", customers=customers)
    await player.open_wallets(balance=Decimal(balance))
    await player.play(CALLS, output_estimate=estimate)
    return player


async def test_with_enough_money_everything_is_captured() -> None:
    service = SmallService()
    tally = (await playing(service, balance="1")).tally
    assert (tally.calls, tally.approved, tally.denied, tally.captured) == (3, 3, 0, 3)
    assert (tally.debited, tally.overage) == (COST, 0)
    assert len(tally.authorize_s) == len(tally.capture_s) == 3
    assert sum(service.free.values()) == 2 - COST


async def test_calls_go_round_robin_over_new_customers() -> None:
    service = SmallService()
    await playing(service, balance="1")
    first_run = list(service.free)
    await playing(service, balance="1")
    assert len(service.free) == 4
    asked = [body for path, body in service.requests if path == "POST /authorizations"]
    customers = [body["authorization"]["external_customer_id"] for body in asked[:3]]
    assert customers == [first_run[0], first_run[1], first_run[0]]
    keys = [body["authorization"]["transaction_id"] for body in asked]
    assert len(set(keys)) == 6


async def test_a_call_is_held_by_estimate_and_captured_by_what_it_used() -> None:
    service = SmallService()
    await playing(service, balance="1", customers=1, estimate=150)

    def tokens(path: str) -> list[list[int]]:
        bodies = [next(iter(body.values())) for asked, body in service.requests if path in asked]
        return [[item["properties"]["tokens"] for item in body["items"]] for body in bodies]

    assert sorted(tokens("capture")) == [[1000, 100], [2000, 300], [3000, 50]]
    held = [
        [item["properties"]["tokens"] for item in body["authorization"]["items"]]
        for path, body in service.requests
        if path == "POST /authorizations"
    ]
    assert held == [[1000, 150], [2000, 150], [3000, 150]]


async def test_a_denied_call_is_counted_and_nothing_is_captured_for_it() -> None:
    tally = (await playing(SmallService(), balance="0.002", customers=3)).tally
    assert (tally.calls, tally.approved, tally.denied, tally.captured) == (3, 0, 3, 0)
    assert len(tally.authorize_s) == 3
    assert tally.capture_s == []


async def test_what_the_balance_cannot_pay_is_overage() -> None:
    tally = (await playing(SmallService(), balance="0.0035", customers=3, estimate=1)).tally
    assert tally.approved == 3
    assert tally.debited == Decimal("0.002") + Decimal("0.0035") * 2
    assert tally.debited + tally.overage == COST


async def test_an_error_that_is_no_denial_ends_the_run() -> None:
    service = SmallService(refusal=(422, {"status": 422, "error": "Unprocessable Entity"}))
    with pytest.raises(Aborted, match="call 1: 422 Unprocessable Entity"):
        await playing(service, balance="1")


async def test_balances_that_catch_up_have_no_drift() -> None:
    service = SmallService()
    player = await playing(service, balance="1")
    service.stale_balance_reads = 3
    assert await player.drift(within_s=2) == 0


async def test_balances_that_stay_behind_are_summed_up() -> None:
    service = SmallService()
    player = await playing(service, balance="1")
    service.stale_balance_reads = 1000
    assert await player.drift(within_s=0.1) == 2


async def test_an_empty_wallet_asks_for_no_credits() -> None:
    service = SmallService()
    await playing(service, balance="0")
    wallets = [body["wallet"] for path, body in service.requests if path == "POST /wallets"]
    assert all("granted_credits" not in wallet for wallet in wallets)
