"""Committers over a real database, as several workers run them; and ways for one of them to die."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from ledger import ids
from ledger.engine import Ledger
from ledger.engines import open_ledger
from ledger.transfers import Phase
from tests.conftest import new_ledger
from tests.waiting import PATIENCE_S
from wallet_service import budgets
from wallet_service.budget_counters import read_buckets
from wallet_service.budget_terms import BudgetRequest
from wallet_service.committer import Committer
from wallet_service.customer_balances import accounts_of, apply_balances
from wallet_service.customer_reading import read_wallets
from wallet_service.database import Database
from wallet_service.decision import Asset, Command, Operation
from wallet_service.decision.budget_state import BudgetKey
from wallet_service.decision.commands import (
    AMOUNT_CODE,
    Authorize,
    Capture,
    CreateWallet,
    Debit,
    Extend,
    Funding,
    Item,
    Pricing,
)
from wallet_service.decision.state import overage_account
from wallet_service.operation_reading import hold_of


class Unseen:
    """Hot balances that nobody looks at."""

    async def put(self, customers: Sequence[Any]) -> None:
        """Show nothing."""

    async def refresh(self, customers: Sequence[Any]) -> None:
        """Show nothing."""


class Till:
    """The money of an organization of its own, and committers that move it."""

    def __init__(
        self, database: Database, ledger: Ledger, asset: Asset, organization_id: UUID
    ) -> None:
        self.organization_id = organization_id
        self.database = database
        self.ledger = ledger
        self.asset = asset
        self.budgets: tuple[BudgetKey, ...] = ()
        """Whatever is asked for is counted in these."""

    @classmethod
    async def open(cls, database: Database, kind: str, addresses: str = "") -> "Till":
        ledger = open_ledger(
            kind,
            pool=database.committer,
            addresses=addresses or None,
            clock=time.time_ns,
            deadline_s=PATIENCE_S,
        )
        await ledger.ready()
        organization_id = ids.new_uuid(datetime.now(UTC))
        async with database.tenant(organization_id) as connection:
            number = await connection.fetchval(
                "insert into wallet.assets (organization_id, code, name, kind, scale, created_at) "
                "values ($1, 'USD', 'US dollar', 'money', 0, now()) returning ledger",
                organization_id,
            )
        if kind == "tigerbeetle":  # shared by all tests, so the ledger must be new
            number = new_ledger()
        return cls(database, ledger, Asset("USD", 0, number), organization_id)

    def committer(self, kind: type[Committer] = Committer, **more: Any) -> Committer:
        terms = {
            "database": self.database,
            "ledger": self.ledger,
            "hot": Unseen(),
            "batch_max": 100,
            "queue_max": 1_000,
            "deadline_s": 60.0,  # a busy machine is no lost answer
        }
        return kind(**terms | more)

    @asynccontextmanager
    async def worker(
        self, kind: type[Committer] = Committer, **more: Any
    ) -> AsyncGenerator[Committer]:
        """A committer that runs for a while."""
        committer = self.committer(kind, **more)
        committer.start()
        yield committer
        await committer.stop()

    async def budget(self, code: str, limit: int, **terms: Any) -> BudgetKey:
        """A budget of the whole organization; from now on everything counts there."""
        now = datetime.now(UTC)
        request = BudgetRequest(code=code, limit=str(limit), asset_code="USD", **terms)
        async with self.database.tenant(self.organization_id) as connection:
            made = await budgets.create(connection, self.organization_id, request, now=now)
        key = BudgetKey(made.id, is_wide=True)
        self.budgets += (key,)
        return key

    # -- operations ------------------------------------------------------------------------------

    def items(self, amount: int) -> tuple[Item, ...]:
        """Usage of an amount, counted in the budgets there are."""
        return (Item(AMOUNT_CODE, {}, amount_minor=amount, budgets=self.budgets),)

    def new_customer(self) -> UUID:
        return ids.new_uuid(datetime.now(UTC))

    def operation(
        self, kind: str, key: str, command: Command, customer: UUID, *, body: str = ""
    ) -> Operation:
        """As at the door: each request has an id of its own; key and body are the caller's."""
        made = ids.new_uuid(datetime.now(UTC))
        text = body or f"{kind} {key}"
        body_hash = blake2b(text.encode(), digest_size=16).digest()
        return Operation(self.organization_id, kind, key, made, customer, body_hash, command)

    def open_wallet(self, customer: UUID, amount: int, **terms: Any) -> Operation:
        fields: dict[str, Any] = {
            "wallet_id": ids.new_uuid(datetime.now(UTC)),
            "external_customer_id": str(customer),
            "asset": self.asset,
            "code": "main",
            "name": None,
            "rate_amount": Decimal(1),
            "priority": 25,
            "fee_types": (),
            "billable_metric_codes": (),
            "on_shortfall": "overage",
            "overdraft_limit_minor": 0,
            "expiration_at": None,
            "metadata": {},
            "fundings": (Funding("paid", amount, Decimal(amount), 25),),
        }
        command = CreateWallet(**fields | terms)
        return self.operation("wallet", f"wallet-{command.wallet_id}", command, customer)

    def hold(self, key: str, customer: UUID, amount: int) -> Operation:
        command = Authorize(str(customer), key, self.asset, self.items(amount), 600)
        return self.operation("authorization", key, command, customer)

    def extension(self, key: str, customer: UUID, hold: UUID, amount: int) -> Operation:
        command = Extend(hold, self.asset, self.items(amount), None)
        return self.operation("extend", key, command, customer)

    def capture(self, key: str, customer: UUID, hold: UUID, amount: int) -> Operation:
        command = Capture(hold, key, self.asset, self.items(amount), True)
        return self.operation("capture", key, command, customer)

    def debit(
        self,
        key: str,
        customer: UUID,
        usage: int | Item,
        *,
        pricing: Pricing | None = None,
    ) -> Operation:
        item = self.items(usage)[0] if isinstance(usage, int) else usage
        event_id = ids.new_uuid(datetime.now(UTC))
        command = Debit(event_id, key, item.code, {}, None, None, None, item, self.asset, pricing)
        return self.operation("event", key, command, customer)

    # -- what is there ---------------------------------------------------------------------------

    async def balances(self, customer: UUID) -> tuple[int, int, int]:
        """What is available, held and owed, says the ledger."""
        key = self.organization_id, customer
        async with self.database.worker.acquire() as connection:
            states = await read_wallets(connection, [key])
        accounts = accounts_of(states.values(), {"USD"})
        found = await self.ledger.balances(accounts)
        apply_balances(states.values(), {"USD"}, found)
        grants = states[key].grants
        return (
            sum(grant.available for grant in grants),
            sum(grant.held for grant in grants),
            states[key].overage.get("USD", 0),
        )

    async def check(self, customer: UUID) -> None:
        """The rows say what the ledger says, nothing is half done, the book is in balance."""
        async with self.database.worker.acquire() as connection:
            open_count = await connection.fetchval(
                "select count(*) from wallet.operations where organization_id = $1"
                " and (state = 'open' or (state = 'posted' and reply is null))",
                self.organization_id,
            )
            assert open_count == 0
            holds = [
                hold_of(row)
                for row in await connection.fetch(
                    "select * from wallet.authorizations where customer_id = $1", customer
                )
            ]
            events = await connection.fetch(
                "select transaction_id, lines from invoicing.events where customer_id = $1",
                customer,
            )
            grants = await connection.fetch(
                "select id, amount_minor from wallet.grants where customer_id = $1", customer
            )
        charged = sum(
            line["amount_minor"] for row in events for line in msgspec.json.decode(row["lines"])
        )
        accounts = [row["id"].int for row in grants]
        owing = overage_account(self.organization_id, customer, "USD")
        found = await self.ledger.balances([*accounts, owing])
        _, held, owed = await self.balances(customer)
        funded = sum(row["amount_minor"] for row in grants)
        left = sum(found[one].credits_posted - found[one].debits_posted for one in accounts)
        assert charged == funded - left + owed
        assert held == sum(hold.held_minor for hold in holds)
        assert len({row["transaction_id"] for row in events}) == len(events)
        for hold in holds:
            transfers = await self.ledger.transfers([leg.transfer_id.int for leg in hold.legs])
            assert all(transfer.phase is Phase.PENDING for transfer in transfers.values())
            assert sum(one.amount for one in transfers.values()) == hold.held_minor
        await self.check_book()
        await self.check_budgets()

    async def standing(self, key: BudgetKey) -> tuple[int, int]:
        """What was spent in a budget without a window, or is in its windows, and what is held."""
        place = self.organization_id, key
        async with self.database.worker.acquire() as connection:
            found = await read_buckets(connection, [place], now=datetime.now(UTC))
        return sum(found[key].spent.values()), found[key].held

    async def check_budgets(self) -> None:
        """Counters say what authorizations and events have there."""
        async with self.database.worker.acquire() as connection:
            holds = [
                hold_of(row)
                for row in await connection.fetch(
                    "select * from wallet.authorizations where organization_id = $1",
                    self.organization_id,
                )
            ]
            events = await connection.fetch(
                "select budget_id, amount_minor from wallet.event_budgets"
                " where organization_id = $1",
                self.organization_id,
            )
        parts = [part for hold in holds for part in hold.budgets]
        for key in self.budgets:
            mine = [part for part in parts if part.key == key]
            spent = sum(part.amount_minor for part in mine if part.starts_at is not None)
            spent += sum(row["amount_minor"] for row in events if row["budget_id"] == key.budget_id)
            held = sum(part.amount_minor for part in mine if part.starts_at is None)
            assert await self.standing(key) == (spent, held)

    async def check_book(self) -> None:
        pairs: list[Any] = []
        after = 0
        while page := await self.ledger.ledger_accounts(self.asset.ledger, after_id=after):
            pairs += page
            after = page[-1][0].id
        for side in ("posted", "pending"):
            debited = sum(getattr(balance, f"debits_{side}") for _, balance in pairs)
            credited = sum(getattr(balance, f"credits_{side}") for _, balance in pairs)
            assert debited == credited


def hasty(database: Database) -> Any:
    """The same database, for committers that do not wait for locks for long."""

    @asynccontextmanager
    async def acquire() -> AsyncGenerator[Any]:
        async with database.committer.acquire() as connection:
            before = await connection.fetchval("show lock_timeout")
            await connection.execute("set lock_timeout = '100ms'")
            try:
                yield connection
            finally:
                await connection.execute(f"set lock_timeout = '{before}'")

    return SimpleNamespace(committer=SimpleNamespace(acquire=acquire))


# -- being late ---------------------------------------------------------------------------------


class Overtaken:
    """A ledger before which somebody else gets in, once, between the look-up and the submission."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.sent: list[list[Any]] = []
        self.overtake: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def create_transfers(self, transfers: Any, /, **more: Any) -> Any:
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            await overtake
        self.sent.append(list(transfers))
        return await self._ledger.create_transfers(transfers, **more)


# -- dying --------------------------------------------------------------------------------------


class Fault:
    """Cuts the connection at the n-th statement: before the server sees it, or after it did it.

    ``for_good``: the whole worker is cut off then, as if its process had died.
    """

    def __init__(self, at: int, *, after: bool, for_good: bool) -> None:
        self.at = at
        self.after = after
        self.for_good = for_good
        self.statements = 0
        self.has_struck = False

    def check_line(self) -> None:
        if self.has_struck and self.for_good:
            raise ConnectionRefusedError("cut off")

    async def run(self, connection: Any, statement: Callable[[], Any]) -> Any:
        self.check_line()
        self.statements += 1
        if self.statements != self.at:
            return await statement()
        self.has_struck = True
        if not self.after:
            connection.terminate()
            return await statement()
        answer = await statement()
        connection.terminate()
        del answer
        raise asyncpg.ConnectionDoesNotExistError("the answer was lost")


class FrailTransaction:
    def __init__(self, connection: Any, fault: Fault) -> None:
        self._connection = connection
        self._transaction = connection.transaction()
        self._fault = fault

    async def __aenter__(self) -> None:
        await self._fault.run(self._connection, self._transaction.__aenter__)

    async def __aexit__(self, *error: object) -> Any:
        if error[0] is not None:
            return await self._transaction.__aexit__(*error)
        return await self._fault.run(
            self._connection, lambda: self._transaction.__aexit__(None, None, None)
        )


class FrailConnection:
    """A connection of asyncpg that a fault may cut."""

    def __init__(self, connection: Any, fault: Fault) -> None:
        self._connection = connection
        self._fault = fault

    def transaction(self, **_: Any) -> FrailTransaction:
        return FrailTransaction(self._connection, self._fault)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "executemany", "fetch", "fetchrow", "fetchval"}:
            return found

        async def statement(*arguments: Any, **more: Any) -> Any:
            return await self._fault.run(self._connection, lambda: found(*arguments, **more))

        return statement


class FrailPool:
    """A pool whose connections a fault may cut."""

    def __init__(self, pool: Any, fault: Fault) -> None:
        self._pool = pool
        self._fault = fault

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[FrailConnection]:
        self._fault.check_line()
        async with self._pool.acquire() as connection:
            yield FrailConnection(connection, self._fault)


def frail(database: Database, fault: Fault) -> Any:
    return SimpleNamespace(committer=FrailPool(database.committer, fault))


async def outcomes_of(
    committer: Committer, operations: Sequence[Operation]
) -> list[bytes | BaseException]:
    return await asyncio.wait_for(committer.submit_all(operations), timeout=PATIENCE_S)
