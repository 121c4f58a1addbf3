from collections.abc import Callable

import httpx
import pytest

from tests.wallet_service.client.conversation import Conversation
from wallet_service.client import AsyncWallet, Retries, Wallet

NewWallet = Callable[..., tuple[Wallet, Conversation]]
NewAsyncWallet = Callable[..., tuple[AsyncWallet, Conversation]]

AT_ONCE = Retries(wait_s_min=0, wait_s_max=0)


@pytest.fixture
def hear() -> NewWallet:
    """A client, and the service that gives it the answers named."""

    def make(*answers: httpx.Response | Exception) -> tuple[Wallet, Conversation]:
        service = Conversation(list(answers))
        wallet = Wallet(
            url="http://wallet/", api_key="key", retries=AT_ONCE, transport=service.transport
        )
        return wallet, service

    return make


@pytest.fixture
def hear_async() -> NewAsyncWallet:
    """Like `hear`, for the client of asyncio."""

    def make(*answers: httpx.Response | Exception) -> tuple[AsyncWallet, Conversation]:
        service = Conversation(list(answers))
        wallet = AsyncWallet(
            url="http://wallet/", api_key="key", retries=AT_ONCE, transport=service.transport
        )
        return wallet, service

    return make
