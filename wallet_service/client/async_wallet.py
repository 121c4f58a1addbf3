"""The client for asyncio."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import nullcontext
from itertools import count
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from . import requests
from .errors import Unavailable, WalletError
from .holds import OpenHold
from .requests import Request
from .results import Authorization
from .retries import Retries
from .shell import TRANSIENT, client_headers, find_endpoint, like, unanswered

__all__ = ["AsyncHold", "AsyncWallet", "Authorizing"]

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULT_RETRIES = Retries()


def _call(
    build: Callable[P, Request[T]],
) -> "Callable[Concatenate[AsyncWallet, P], Awaitable[T]]":
    """Make a method that sends a request and returns the result."""

    async def method(self: "AsyncWallet", *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(build(*args, **kwargs))

    return like(build, method)


def _open(
    build: Callable[P, Request[Authorization]],
) -> "Callable[Concatenate[AsyncWallet, P], Authorizing]":
    """Make a method that returns a hold."""

    def method(self: "AsyncWallet", *args: P.args, **kwargs: P.kwargs) -> "Authorizing":
        return Authorizing(self, build(*args, **kwargs))

    return like(build, method)


def _step(
    build: Callable[Concatenate[str, P], Request[Authorization]], *, settles: bool = False
) -> "Callable[Concatenate[AsyncHold, P], Awaitable[Authorization]]":
    """Make a method of a hold, which takes its id from there."""

    async def method(self: "AsyncHold", *args: P.args, **kwargs: P.kwargs) -> Authorization:
        return await self._send(build(self.id, *args, **kwargs), settles=settles)  # pyright: ignore[reportPrivateUsage]

    return like(build, method, knows=1)


class AsyncHold(OpenHold):
    """Funds set aside; use it in an ``async with`` block."""

    def __init__(self, wallet: "AsyncWallet", authorization: Authorization) -> None:
        super().__init__(authorization)
        self._wallet = wallet

    capture = _step(requests.capture, settles=True)
    extend = _step(requests.extend)
    refund = _step(requests.refund)
    void = _step(requests.void)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._is_to_be_voided:
            return
        try:
            await self.void()
        except WalletError as failure:
            if not self._explain(failure, error):
                raise

    async def _send(self, request: Request[Authorization], *, settles: bool) -> Authorization:
        with self._settling() if settles else nullcontext():
            self.authorization = await self._wallet.send(request)
        return self.authorization


class Authorizing:
    """A hold on its way: ``async with wallet.authorize(…) as hold``, or ``await`` it."""

    def __init__(self, wallet: "AsyncWallet", request: Request[Authorization]) -> None:
        self._wallet = wallet
        self._request = request
        self._hold: AsyncHold | None = None

    async def _open(self) -> AsyncHold:
        return AsyncHold(self._wallet, await self._wallet.send(self._request))

    def __await__(self) -> Generator[Any, None, AsyncHold]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncHold:
        self._hold = await self._open()
        return self._hold

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._hold is not None
        await self._hold.__aexit__(kind, error, traceback)


class AsyncWallet:
    """Speaks to the wallet service from one event loop; close it, or use it in ``async with``.

    A call that got no answer is repeated with its key, at most ``retries.attempts_max`` times.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        retries: Retries = _DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        endpoint = find_endpoint(url, api_key)
        self._retries = retries
        self._http = httpx.AsyncClient(
            base_url=endpoint.base_url,
            headers=client_headers(endpoint),
            timeout=timeout_s,
            transport=transport,
        )

    authorize = _open(requests.authorize)
    authorization = _call(requests.authorization)
    capture = _call(requests.capture)
    extend = _call(requests.extend)
    void = _call(requests.void)
    refund = _call(requests.refund)
    estimate = _call(requests.estimate)
    check = _call(requests.check)

    debit = _call(requests.debit)
    debit_many = _call(requests.debit_many)
    reverse = _call(requests.reverse)

    create_customer = _call(requests.create_customer)
    create_subscription = _call(requests.create_subscription)
    create_wallet = _call(requests.create_wallet)
    top_up = _call(requests.top_up)
    grant = _call(requests.grant)
    settle = _call(requests.settle)
    balances = _call(requests.balances)

    async def authorizations(
        self,
        *,
        customer: str | None = None,
        status: str | None = None,
        transaction_id: str | None = None,
    ) -> AsyncIterator[Authorization]:
        """Read authorizations, newest first, page after page as they are wanted."""
        page: int | None = 1
        while page:
            found = await self.send(
                requests.authorizations(
                    customer=customer, status=status, transaction_id=transaction_id, page=page
                )
            )
            for authorization in found.authorizations:
                yield authorization
            page = found.meta.next_page

    async def send(self, request: Request[T]) -> T:
        """Send a request, again where that may help, and return what it asks for."""
        for attempt in count(1):
            try:
                return await self._exchange(request)
            except Unavailable as error:
                chance = secrets.SystemRandom().random()
                wait_s = self._retries.wait_s(error, attempt=attempt, chance=chance)
                if wait_s is None:
                    raise
            await asyncio.sleep(wait_s)
        raise AssertionError

    async def _exchange(self, request: Request[T]) -> T:
        try:
            reply = await self._http.request(request.method, request.path, content=request.body)
        except TRANSIENT as error:
            raise unanswered(request, error) from error
        return requests.read(request, reply.status_code, reply.headers, reply.content)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
