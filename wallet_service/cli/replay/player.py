"""Plays a trace through the public API: authorize what a call may cost, capture what it did.

The calls go round robin over new customers, and as many at a time as there are callers.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct, field

from wallet_service.cli.replay.trace import Call
from wallet_service.client import requests
from wallet_service.client.errors import PaymentRequired, WalletError
from wallet_service.client.inputs import Item, new_key
from wallet_service.client.requests import Request
from wallet_service.client.results import Balance

__all__ = ["ASSET", "Aborted", "Player", "Sender", "Tally"]

ASSET: Final = "USD"
# Long enough for any call that is played, short enough that an aborted run ties up no money.
_HOLD_S: Final = 60
_POLL_S: Final = 0.05

T = TypeVar("T")


class Aborted(Exception):
    """The run could not go on; the message says at which step, and why."""


class Sender(Protocol):
    """Something that sends one request at a time."""

    async def send(self, request: Request[T]) -> T: ...


class Tally(Struct):
    """What became of the calls. ``debited`` was paid by grants, ``overage`` by nobody."""

    calls: int = 0
    approved: int = 0
    denied: int = 0
    captured: int = 0
    debited: Decimal = Decimal(0)
    overage: Decimal = Decimal(0)
    authorize_s: list[float] = field(default_factory=list[float])
    capture_s: list[float] = field(default_factory=list[float])
    elapsed_s: float = 0.0


class Player:
    """One run: its customers, and how far it has come."""

    def __init__(
        self, senders: Sequence[Sender], *, model: str, customers: int, plan: str | None = None
    ) -> None:
        self.tally = Tally()
        self.customers_ready = 0
        self._senders = senders
        self._model = model
        self._plan = plan
        self.run = f"replay-{new_key()}"
        """What the names of its customers and the keys of its calls begin with."""
        self._customers = [f"{self.run}-{number}" for number in range(customers)]

    async def open_wallets(self, *, balance: Decimal) -> None:
        """Make the customers, each with one wallet, and a subscription if there is a plan."""

        async def open_wallet(sender: Sender, customer: str) -> None:
            await sender.send(requests.create_customer(customer, currency=ASSET))
            await sender.send(
                requests.create_wallet(
                    customer=customer, asset=ASSET, granted_credits=balance or None
                )
            )
            if self._plan is not None:
                await sender.send(
                    requests.create_subscription(customer, customer=customer, plan=self._plan)
                )
            self.customers_ready += 1

        await self._share(open_wallet, self._customers, name="customer")

    async def play(self, calls: Sequence[Call], *, output_estimate: int) -> Tally:
        """Play the calls, and say what became of them."""

        async def play_call(sender: Sender, numbered: tuple[int, Call]) -> None:
            await self._play_call(sender, *numbered, output_estimate=output_estimate)

        started = time.perf_counter()
        try:
            await self._share(play_call, enumerate(calls), name="call")
        finally:
            self.tally.elapsed_s = time.perf_counter() - started
        return self.tally

    async def drift(self, *, within_s: float) -> Decimal:
        """Sum up how far the balances being read are from the book, once the latter is caught up.

        Asks again for what still differs, until nothing does or the time is over.
        """
        give_up = time.perf_counter() + within_s
        differences: dict[str, Decimal] = dict.fromkeys(self._customers, Decimal(0))

        async def compare(sender: Sender, customer: str) -> None:
            hot = await sender.send(requests.balances(customer))
            ledger = await sender.send(requests.balances(customer, source="ledger"))
            differences[customer] = _distance(hot, ledger)

        unequal: Iterable[str] = self._customers
        while True:
            await self._share(compare, unequal, name="balance")
            unequal = [customer for customer, distance in differences.items() if distance]
            if not unequal or time.perf_counter() >= give_up:
                return sum(differences.values(), Decimal(0))
            await asyncio.sleep(_POLL_S)

    async def _play_call(
        self, sender: Sender, number: int, call: Call, *, output_estimate: int
    ) -> None:
        tally = self.tally
        authorize = requests.authorize(
            customer=self._customers[number % len(self._customers)],
            items=self._items(call.input_tokens, output_estimate),
            expires_in=_HOLD_S,
            transaction_id=f"{self.run}-{number}",
        )
        started = time.perf_counter()
        try:
            hold = await sender.send(authorize)
        except PaymentRequired:
            hold = None
        tally.authorize_s.append(time.perf_counter() - started)
        tally.calls += 1
        if hold is None:
            tally.denied += 1
            return
        tally.approved += 1
        capture = requests.capture(
            hold.id, items=self._items(call.input_tokens, call.output_tokens)
        )
        started = time.perf_counter()
        captured = await sender.send(capture)
        tally.capture_s.append(time.perf_counter() - started)
        tally.captured += 1
        tally.debited += sum((debit.amount for debit in captured.debits), Decimal(0))
        tally.overage += sum((debit.overage for debit in captured.debits), Decimal(0))

    def _items(self, input_tokens: int, output_tokens: int) -> list[Item]:
        return [
            Item("llm_input_tokens", model=self._model, tokens=input_tokens),
            Item("llm_output_tokens", model=self._model, tokens=output_tokens),
        ]

    async def _share(
        self,
        work: Callable[[Sender, T], Coroutine[Any, Any, None]],
        pieces: Iterable[T],
        *,
        name: str,
    ) -> None:
        """Let every sender take the next piece of work when it is free. Raises Aborted."""
        numbered = enumerate(pieces, start=1)

        async def take(sender: Sender) -> None:
            for number, piece in numbered:
                try:
                    await work(sender, piece)
                except WalletError as error:
                    message = f"{name} {number}: {error}"
                    raise Aborted(message) from error

        try:
            async with asyncio.TaskGroup() as tasks:
                for sender in self._senders:
                    tasks.create_task(take(sender))
        except ExceptionGroup as group:
            # Not `except*`: what it raises is wrapped in a group again by early releases of 3.11.
            aborted, others = group.split(Aborted)
            if aborted is None or others is not None:
                raise
            raise aborted.exceptions[0] from None


def _distance(hot: Iterable[Balance], ledger: Iterable[Balance]) -> Decimal:
    """Add up how far apart they are, in what is free and what is held; what is missing is zero."""
    total: dict[tuple[str, str], Decimal] = {}
    for balances, sign in ((hot, 1), (ledger, -1)):
        for balance in balances:
            for name, amount in (("available", balance.available), ("held", balance.held)):
                place = (balance.asset_code, name)
                total[place] = total.get(place, Decimal(0)) + sign * amount
    return sum(map(abs, total.values()), Decimal(0))
