"""What is shown of customers: from Redis where it is there, from the ledger where it is cold.

Nothing is decided here. Losing Redis loses nothing: what is missing is loaded from the ledger and
put again, and what could not be put is put as soon as Redis is back.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence

import msgspec
import structlog

from ledger import Account, Ledger, ids
from ledger.chart import AccountCode
from wallet_service.batched_read import BatchedRead
from wallet_service.customer_balances import accounts_of, apply_balances, learn_balances
from wallet_service.customer_reading import read_wallets
from wallet_service.database import Database
from wallet_service.decision import CustomerKey, CustomerState
from wallet_service.hot_balances import Entry, HotBalances, HotBalancesUnavailable
from wallet_service.hot_document import decode_document, encode_document

__all__ = ["HotCustomers"]

log = structlog.get_logger()

_REFRESH_MAX = 200
"""Customers loaded from the ledger in one snapshot."""

_CLOCK = Account(id=ids.hash128("clock"), ledger=2**32 - 1, code=AccountCode.EXCHANGE)
"""An account of no organization's ledger, where nothing moves. Asked along with every look-up, it
says when that was, also of customers who have no account at all."""


class HotCustomers:
    """Customers' balances for reading: the newest known version wins, wherever it comes from."""

    def __init__(
        self, *, database: Database, ledger: Ledger, balances: HotBalances, wait_s: float
    ) -> None:
        self._pool = database.worker
        self._ledger = ledger
        self._balances = balances
        self._wait_s = wait_s
        self._puts: set[asyncio.Task[None]] = set()
        self._has_clock = False
        self._loads = BatchedRead(self._load_each)
        self._tickets = itertools.count()

    async def put(self, customers: Sequence[CustomerState]) -> None:
        """Show what was decided.

        Waits for Redis, but not longer than ``wait_s``; goes on without it.
        """
        if not customers:
            return
        entries = [
            Entry(
                customer.organization_id,
                customer.customer_id,
                customer.version,
                encode_document(customer),
            )
            for customer in customers
        ]
        task = asyncio.create_task(self._put(entries))
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)
        await asyncio.wait({task}, timeout=self._wait_s)

    async def _put(self, entries: Sequence[Entry]) -> None:
        # The store remembers whom it could not reach; they are put again when it is back.
        with contextlib.suppress(HotBalancesUnavailable):
            await self._balances.put(entries)

    async def refresh(self, customers: Sequence[CustomerKey]) -> None:
        """Load customers from the ledger and show them."""
        for start in range(0, len(customers), _REFRESH_MAX):
            loaded = await self.load(customers[start : start + _REFRESH_MAX])
            await self.put(list(loaded.values()))

    async def get(self, customer: CustomerKey) -> CustomerState:
        """A customer as shown: one Redis read, or from the ledger where that is cold or down."""
        try:
            body = await self._balances.get(*customer)
            if body is not None:
                return decode_document(body, *customer)
        except (HotBalancesUnavailable, msgspec.DecodeError):
            pass  # a document of another version of ours is as good as none
        loaded = await self.load_one(customer)
        await self.put([loaded])
        return loaded

    async def load_one(self, customer: CustomerKey) -> CustomerState:
        """A customer from the ledger, together with others who are asked for at the same time.

        It is the caller's own to use up. Not older than the question.
        """
        loaded = await self._loads.find((customer, next(self._tickets)))
        assert loaded is not None, "every customer has a state"
        return loaded

    async def _load_each(
        self, asked: Sequence[tuple[CustomerKey, int]]
    ) -> dict[tuple[CustomerKey, int], CustomerState]:
        customers = list(dict.fromkeys(customer for customer, _ in asked))
        loaded: dict[CustomerKey, CustomerState] = {}
        for start in range(0, len(customers), _REFRESH_MAX):
            loaded |= await self.load(customers[start : start + _REFRESH_MAX])
        each: dict[tuple[CustomerKey, int], CustomerState] = {}
        given: set[CustomerKey] = set()
        for customer, ticket in asked:
            state = loaded[customer]
            each[customer, ticket] = _copy(state) if customer in given else state
            given.add(customer)
        return each

    async def get_all(self, customers: Sequence[CustomerKey]) -> dict[CustomerKey, CustomerState]:
        """Several customers as shown; those that are cold are loaded from the ledger."""
        try:
            hot = await self.get_hot(customers)
        except HotBalancesUnavailable:
            hot = [None] * len(customers)
        found = {key: state for key, state in zip(customers, hot, strict=True) if state is not None}
        cold = [key for key in customers if key not in found]
        for start in range(0, len(cold), _REFRESH_MAX):
            loaded = await self.load(cold[start : start + _REFRESH_MAX])
            await self.put(list(loaded.values()))
            found |= loaded
        return found

    async def get_hot(self, customers: Sequence[CustomerKey]) -> list[CustomerState | None]:
        """Only what Redis has now; None where it is cold. Raises HotBalancesUnavailable."""
        bodies = await self._balances.get_many(customers)
        return [
            None if body is None else decode_document(body, *customer)
            for customer, body in zip(customers, bodies, strict=True)
        ]

    async def load(self, customers: Sequence[CustomerKey]) -> dict[CustomerKey, CustomerState]:
        """Customers from the ledger, all in one snapshot.

        With an engine outside Postgres the ledger's clock is the version, otherwise the customer's
        own counter.
        """
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            loaded = await read_wallets(connection, customers)
            is_inside = self._ledger.name == "postgres"
            if is_inside:
                await learn_balances(connection, loaded.values(), set(), self._ledger)
        if not is_inside:
            if not self._has_clock:
                await self._ledger.create_accounts([_CLOCK])
                self._has_clock = True
            accounts = accounts_of(loaded.values(), set())
            balances = await self._ledger.balances([*accounts, _CLOCK.id])
            apply_balances(loaded.values(), set(), balances)
            # A long look-up has several replies; claiming the first one's time is never too new.
            read_at = min(balance.timestamp for balance in balances.values())
            for customer in loaded.values():
                customer.version = read_at
        return loaded

    async def refresh_dirty(self) -> int:
        """Show again what Redis could not take while it was away; says how many."""
        customers, everything = self._balances.take_dirty()
        if everything:
            log.warning("hot_balances_overflowed", hint="the reconciler puts all customers again")
        await self.refresh(list(customers))
        return len(customers)

    async def refresh_on_return(self) -> None:
        """For ever: whenever Redis is back, show what it missed."""
        while True:
            await self._balances.reconnected.wait()
            self._balances.reconnected.clear()
            try:
                await self.refresh_dirty()
            except Exception:
                log.exception("hot_balances_refresh_failed")


def _copy(customer: CustomerState) -> CustomerState:
    key = customer.organization_id, customer.customer_id
    return decode_document(encode_document(customer), *key, version=customer.version)
