"""A hold in a `with` block never outlives its purpose."""

import asyncio

import httpx
import pytest

from tests.wallet_service.client.conftest import NewAsyncWallet, NewWallet
from tests.wallet_service.client.conversation import (
    AUTHORIZATION,
    HOLD_PATH,
    NO_ANSWER,
    authorization,
    error,
)
from wallet_service.client import AsyncWallet, Item, PaymentRequired, Unavailable, Wallet

ITEM = Item("llm_input_tokens", tokens=1)

HELD = authorization()
CAPTURED = authorization(status="captured", captured_amount="0.005")
PARTLY_CAPTURED = authorization(captured_amount="0.001")
VOIDED = authorization(status="voided")

AUTHORIZE = "POST /api/v1/authorizations"
CAPTURE = f"POST {HOLD_PATH}/capture"
VOID = f"POST {HOLD_PATH}/void"


class ModelFailed(Exception):
    pass


def hold_on(wallet: Wallet):
    return wallet.authorize(customer="acme", items=[ITEM])


def test_a_captured_hold_is_left_alone(hear: NewWallet) -> None:
    wallet, service = hear(HELD, CAPTURED)
    with hold_on(wallet) as hold:
        assert hold.capture(items=[ITEM]).status == "captured"
    assert service.paths == [AUTHORIZE, CAPTURE]
    assert hold.authorization.status == "captured"


def test_a_hold_nobody_captured_is_given_back(hear: NewWallet) -> None:
    wallet, service = hear(HELD, VOIDED)
    with hold_on(wallet) as hold:
        pass
    assert service.paths == [AUTHORIZE, VOID]
    assert hold.authorization.status == "voided"


def test_an_exception_gives_the_hold_back_and_passes(hear: NewWallet) -> None:
    wallet, service = hear(HELD, VOIDED)
    with pytest.raises(ModelFailed), hold_on(wallet):
        raise ModelFailed
    assert service.paths == [AUTHORIZE, VOID]


def test_what_a_partial_capture_left_is_given_back(hear: NewWallet) -> None:
    wallet, service = hear(HELD, PARTLY_CAPTURED, VOIDED)
    with hold_on(wallet) as hold:
        hold.capture(amount="0.001", final=False)
    assert service.paths == [AUTHORIZE, CAPTURE, VOID]


def test_a_hold_may_be_voided_early(hear: NewWallet) -> None:
    wallet, service = hear(HELD, VOIDED)
    with hold_on(wallet) as hold:
        hold.void()
    assert service.paths == [AUTHORIZE, VOID]


def test_an_extension_that_is_refused_ends_the_hold(hear: NewWallet) -> None:
    wallet, service = hear(HELD, error(402, "insufficient_funds"), VOIDED)
    with pytest.raises(PaymentRequired), hold_on(wallet) as hold:
        hold.extend(items=[ITEM])
    assert service.paths == [AUTHORIZE, f"POST {HOLD_PATH}/extend", VOID]


def test_usage_whose_capture_failed_is_not_given_back(hear: NewWallet) -> None:
    """The capture may have landed, or be sent again: voiding would lose what was used."""
    wallet, service = hear(HELD, NO_ANSWER)
    with pytest.raises(Unavailable), hold_on(wallet) as hold:
        hold.capture(items=[ITEM])
    assert service.paths == [AUTHORIZE] + [CAPTURE] * 4


def test_a_capture_that_succeeds_at_last_settles_the_hold(hear: NewWallet) -> None:
    wallet, service = hear(HELD, error(422), PARTLY_CAPTURED, VOIDED)
    with hold_on(wallet) as hold:
        with pytest.raises(Exception, match="422"):
            hold.capture(items=[ITEM], final=False)
        hold.capture(items=[ITEM], final=False)
    assert service.paths == [AUTHORIZE, CAPTURE, CAPTURE, VOID]


def test_a_hold_that_somebody_else_ended_is_no_error(hear: NewWallet) -> None:
    wallet, _ = hear(HELD, error(405, "already_captured"))
    with hold_on(wallet):
        pass


def test_a_void_that_fails_is_told(hear: NewWallet) -> None:
    wallet, _ = hear(HELD, NO_ANSWER)
    with pytest.raises(Unavailable), hold_on(wallet):
        pass


def test_a_void_that_fails_does_not_hide_the_reason(hear: NewWallet) -> None:
    wallet, _ = hear(HELD, NO_ANSWER)
    with pytest.raises(ModelFailed) as failed, hold_on(wallet):
        raise ModelFailed
    (note,) = failed.value.__notes__
    assert AUTHORIZATION["id"] in note
    assert "expires at 2026-03-10T12:01" in note


# --- asyncio


def async_hold_on(wallet: AsyncWallet):
    return wallet.authorize(customer="acme", items=[ITEM])


async def test_an_async_block_captures(hear_async: NewAsyncWallet) -> None:
    wallet, service = hear_async(HELD, CAPTURED)
    async with wallet, async_hold_on(wallet) as hold:
        await hold.capture(items=[ITEM])
    assert service.paths == [AUTHORIZE, CAPTURE]


async def test_an_async_block_gives_back(hear_async: NewAsyncWallet) -> None:
    wallet, service = hear_async(HELD, VOIDED)
    with pytest.raises(ModelFailed):
        async with async_hold_on(wallet):
            raise ModelFailed
    assert service.paths == [AUTHORIZE, VOID]


async def test_an_async_capture_that_failed_is_not_given_back(hear_async: NewAsyncWallet) -> None:
    wallet, service = hear_async(HELD, NO_ANSWER)
    with pytest.raises(Unavailable):
        async with async_hold_on(wallet) as hold:
            await hold.capture(items=[ITEM])
    assert VOID not in service.paths


async def test_a_cancelled_task_gives_its_hold_back(hear_async: NewAsyncWallet) -> None:
    wallet, service = hear_async(HELD, VOIDED)
    holding = asyncio.Event()

    async def answer_forever() -> None:
        async with async_hold_on(wallet):
            holding.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(answer_forever())
    await holding.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert service.paths == [AUTHORIZE, VOID]


async def test_a_hold_may_be_awaited_without_a_block(hear_async: NewAsyncWallet) -> None:
    wallet, service = hear_async(HELD, VOIDED)
    hold = await async_hold_on(wallet)
    await hold.void()
    assert service.paths == [AUTHORIZE, VOID]


async def test_async_pages_are_read_as_they_are_wanted(hear_async: NewAsyncWallet) -> None:
    page = {"authorizations": [AUTHORIZATION], "meta": {"next_page": None}}
    wallet, _ = hear_async(httpx.Response(200, json=page))
    found = [authorization.id async for authorization in wallet.authorizations(status="held")]
    assert found == [AUTHORIZATION["id"]]
