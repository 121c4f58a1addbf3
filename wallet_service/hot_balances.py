"""Each customer's balances as they were decided last, in Redis, for every read and pre-check.

Derived data. It is put here after the commit that made it, and the newer version wins, so a put may
be repeated, come late or in another order. What is missing is COLD, never zero: read the ledger and
put it here. When Redis is away, everything goes on without: HotBalancesUnavailable says so at once,
and the customers whose balances could not be put are remembered, to be put when it is back:

    while True:
        await hot.reconnected.wait()
        hot.reconnected.clear()
        customers, everything = hot.take_dirty()       # read them from the ledger, put them

`redis://` and `unix://` are one server, over a connection of our own (`hot_connection.py`);
`redis+cluster://` is a Redis Cluster, over redis-py: right, at some ten times the cost
(`hot_servers.py` has both).
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Self
from uuid import UUID

from msgspec import Struct

from wallet_service.hot_servers import HotBalancesUnavailable, Server, open_server

__all__ = ["Customer", "Entry", "HotBalances", "HotBalancesUnavailable"]

_VERSION_DIGITS: Final = 20
_VERSION_MAX: Final = 2**64 - 1
_TTL_S_MAX: Final = 999_999_999
_ORGANIZATIONS_KEPT: Final = 10_000
# After a put that failed although Redis is there; longer each time that it fails again.
_REMINDER_S_MIN: Final = 1.0
_REMINDER_S_MAX: Final = 60.0

Customer = tuple[UUID, UUID]
"""Organization and customer."""


class Entry(Struct, frozen=True):
    """One customer's balances, as of a version."""

    organization_id: UUID
    customer_id: UUID
    version: int
    body: bytes


class HotBalances:
    """The store of hot balances. Made by `open`, ended by `close`."""

    def __init__(self, server: Server, *, engine: str, ttl_s: int, dirty_max: int) -> None:
        # Set when dirty customers should be put again: Redis is back; or it never left but refused
        # a put (memory full, too many calls), some time ago.
        self.reconnected = asyncio.Event()
        self._server = server
        self._engine = engine
        self._ttl_s = ttl_s
        self._dirty = _Dirty(dirty_max)
        self._reminder: asyncio.TimerHandle | None = None
        self._reminder_s = _REMINDER_S_MIN
        server.on_up = self.reconnected.set

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        engine: str,
        ttl_s: int = 86_400,
        timeout_s: float = 0.25,
        dirty_max: int = 10_000,
    ) -> Self:
        """Begin; returns after one try to connect, also if Redis is away, and goes on trying.

        `engine` is the ledger's name: two books never show each other's balances. A call waits for
        its reply for `timeout_s`. Of the customers whose put failed, `dirty_max` are remembered one
        by one. Raises ValueError for a URL or a number that cannot work.
        """
        if not 0 < ttl_s <= _TTL_S_MAX:
            raise ValueError(f"ttl_s is between 1 and {_TTL_S_MAX}")
        server = open_server(url, timeout_s=timeout_s)
        hot = cls(server, engine=engine, ttl_s=ttl_s, dirty_max=dirty_max)
        await server.start()
        hot.reconnected.clear()
        return hot

    async def close(self) -> None:
        """End the connection; calls under way fail."""
        if self._reminder is not None:
            self._reminder.cancel()
        await self._server.close()

    @property
    def is_up(self) -> bool:
        """Whether Redis answers, as far as we know."""
        return self._server.is_up

    async def put(self, entries: Sequence[Entry]) -> int:
        """Show what was decided, and return how many were newer than what was shown.

        Raises HotBalancesUnavailable if any could not be put; these are dirty then. Do not cancel
        it to save time: wait for its task instead. A cancelled put counts as failed.
        """
        batch_max = self._server.batch_max
        if 0 < len(entries) <= batch_max:
            return await self._put(entries)
        replies = await asyncio.gather(
            *(
                self._put(entries[start : start + batch_max])
                for start in range(0, len(entries), batch_max)
            ),
            return_exceptions=True,
        )
        newer = 0
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
            newer += reply
        return newer

    async def get(self, organization_id: UUID, customer_id: UUID) -> bytes | None:
        """One customer's balances; None is COLD: not known here. Raises HotBalancesUnavailable."""
        reply = await self._server.call("GET", self._key(organization_id, customer_id))
        return _body(reply)

    async def get_many(self, customers: Sequence[Customer]) -> list[bytes | None]:
        """The balances of many customers, in their order; None is COLD."""
        keys = [self._key(*customer) for customer in customers]
        return [_body(reply) for reply in await self._server.get_all(keys)]

    async def get_versions(self, customers: Sequence[Customer]) -> list[int | None]:
        """The versions that are shown of many customers; None is COLD. Raises as the others do."""
        keys = [self._key(*customer) for customer in customers]
        return [_version(reply) for reply in await self._server.get_all(keys)]

    async def forget(self, organization_id: UUID, customer_id: UUID) -> None:
        """Make a customer COLD. A put that is still under way may show an older version again."""
        await self._server.call("UNLINK", self._key(organization_id, customer_id))

    @property
    def has_dirty(self) -> bool:
        """Whether `take_dirty` would give anything."""
        return bool(self._dirty.customers) or self._dirty.everything

    def take_dirty(self) -> tuple[list[Customer], bool]:
        """Hand over the customers whose last put failed, and whether there are more: everybody.

        Who takes them puts fresh values; if that fails, they are dirty again.
        """
        return self._dirty.take()

    async def _put(self, entries: Sequence[Entry]) -> int:
        keys = [self._key(entry.organization_id, entry.customer_id) for entry in entries]
        words: list[bytes | str | int] = ["FCALL", "hot_balances_put", len(keys), *keys]
        words.append(self._ttl_s)
        for entry in entries:
            assert 0 <= entry.version <= _VERSION_MAX, "a version is an unsigned 64-bit number"
            assert entry.body, "empty balances are not the same as unknown ones"
            words += (b"%020d" % entry.version, entry.body)
        try:
            newer = int(await self._server.call(*words))
        except BaseException:
            # Also when cancelled: what the server did is then not known.
            self._dirty.add(entries)
            self._remind_later()
            raise
        self._reminder_s = _REMINDER_S_MIN
        return newer

    def _key(self, organization_id: UUID, customer_id: UUID) -> str:
        return f"hot:{self._engine}:{{{_text_of(organization_id)}:{customer_id}}}"

    def _remind_later(self) -> None:
        """No reconnection will announce that a server which never left takes puts again."""
        if self._reminder is None:
            loop = asyncio.get_running_loop()
            self._reminder = loop.call_later(self._reminder_s, self._remind)
            self._reminder_s = min(2 * self._reminder_s, _REMINDER_S_MAX)

    def _remind(self) -> None:
        self._reminder = None
        if self.is_up and self.has_dirty:
            self.reconnected.set()


@lru_cache(_ORGANIZATIONS_KEPT)
def _text_of(organization_id: UUID) -> str:
    return str(organization_id)


class _Dirty:
    """Customers whose shown balances may be old; a bounded set, then simply everybody."""

    def __init__(self, customers_max: int) -> None:
        self.customers: set[Customer] = set()
        self.everything = False
        self._max = customers_max

    def add(self, entries: Sequence[Entry]) -> None:
        """Remember them."""
        if self.everything:
            return
        self.customers.update((entry.organization_id, entry.customer_id) for entry in entries)
        if len(self.customers) > self._max:
            self.customers.clear()
            self.everything = True

    def take(self) -> tuple[list[Customer], bool]:
        """Give all and remember none."""
        taken = list(self.customers), self.everything
        self.customers.clear()
        self.everything = False
        return taken


def _version(value: bytes | None) -> int | None:
    return None if value is None or _body(value) is None else int(value[:_VERSION_DIGITS])


def _body(value: bytes | None) -> bytes | None:
    """Take the version off; what has none is not ours and as good as nothing."""
    if value is None or not value[:_VERSION_DIGITS].isdigit() or len(value) <= _VERSION_DIGITS:
        return None
    return value[_VERSION_DIGITS:]
