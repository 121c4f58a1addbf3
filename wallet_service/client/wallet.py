"""The client for ordinary code."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import count
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import httpx

from . import requests
from .errors import Unavailable, WalletError
from .holds import OpenHold
from .requests import Request
from .results import Authorization
from .retries import Retries
from .shell import TRANSIENT, client_headers, find_endpoint, like, unanswered

__all__ = ["Hold", "Wallet"]

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULT_RETRIES = Retries()


def _call(build: Callable[P, Request[T]]) -> "Callable[Concatenate[Wallet, P], T]":
    """Make a method that sends a request and returns the result."""

    def method(self: "Wallet", *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build(*args, **kwargs))

    return like(build, method)


def _open(
    build: Callable[P, Request[Authorization]],
) -> "Callable[Concatenate[Wallet, P], Hold]":
    """Make a method that returns a hold."""

    def method(self: "Wallet", *args: P.args, **kwargs: P.kwargs) -> "Hold":
        return Hold(self, self.send(build(*args, **kwargs)))

    return like(build, method)


def _step(
    build: Callable[Concatenate[str, P], Request[Authorization]], *, settles: bool = False
) -> "Callable[Concatenate[Hold, P], Authorization]":
    """Make a method of a hold, which takes its id from there."""

    def method(self: "Hold", *args: P.args, **kwargs: P.kwargs) -> Authorization:
        return self._send(build(self.id, *args, **kwargs), settles=settles)  # pyright: ignore[reportPrivateUsage]

    return like(build, method, knows=1)


class Hold(OpenHold):
    """Funds set aside; use it in a ``with`` block."""

    def __init__(self, wallet: "Wallet", authorization: Authorization) -> None:
        super().__init__(authorization)
        self._wallet = wallet

    capture = _step(requests.capture, settles=True)
    extend = _step(requests.extend)
    refund = _step(requests.refund)
    void = _step(requests.void)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._is_to_be_voided:
            return
        try:
            self.void()
        except WalletError as failure:
            if not self._explain(failure, error):
                raise

    def _send(self, request: Request[Authorization], *, settles: bool) -> Authorization:
        with self._settling() if settles else nullcontext():
            self.authorization = self._wallet.send(request)
        return self.authorization


class Wallet:
    """Speaks to the wallet service. Safe to share between threads; close it, or use it in ``with``.

    A call that got no answer is repeated with its key, at most ``retries.attempts_max`` times.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        retries: Retries = _DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        endpoint = find_endpoint(url, api_key)
        self._retries = retries
        self._http = httpx.Client(
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

    def authorizations(
        self,
        *,
        customer: str | None = None,
        status: str | None = None,
        transaction_id: str | None = None,
    ) -> Iterator[Authorization]:
        """Read authorizations, newest first, page after page as they are wanted."""
        page: int | None = 1
        while page:
            found = self.send(
                requests.authorizations(
                    customer=customer, status=status, transaction_id=transaction_id, page=page
                )
            )
            yield from found.authorizations
            page = found.meta.next_page

    def send(self, request: Request[T]) -> T:
        """Send a request, again where that may help, and return what it asks for."""
        for attempt in count(1):
            try:
                return self._exchange(request)
            except Unavailable as error:
                chance = secrets.SystemRandom().random()
                wait_s = self._retries.wait_s(error, attempt=attempt, chance=chance)
                if wait_s is None:
                    raise
            time.sleep(wait_s)
        raise AssertionError

    def _exchange(self, request: Request[T]) -> T:
        try:
            reply = self._http.request(request.method, request.path, content=request.body)
        except TRANSIENT as error:
            raise unanswered(request, error) from error
        return requests.read(request, reply.status_code, reply.headers, reply.content)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
