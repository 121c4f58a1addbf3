"""Reads that many requests want at once, in one round trip.

What comes while a read is under way goes with the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

__all__ = ["BatchedRead"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_BATCH_MAX = 1_000


class BatchedRead(Generic[K, V]):
    """Finds values by key; ``read`` is called with many keys and gives those that exist."""

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._wanted: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def find(self, key: K) -> V | None:
        """The value, or None where there is none. Raises what the read raises."""
        future = self._wanted.get(key)
        if future is None:
            future = self._wanted[key] = asyncio.get_running_loop().create_future()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._wanted:
            await asyncio.sleep(0)  # those that come in the same turn of the loop come along
            wanted = dict(list(self._wanted.items())[:_BATCH_MAX])
            for key in wanted:
                del self._wanted[key]
            try:
                found = await self._read(list(wanted))
            except Exception as error:  # noqa: BLE001 (each of those who wait hears of it)
                for future in wanted.values():
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # whoever asked may have gone away
                continue
            for key, future in wanted.items():
                if not future.done():
                    future.set_result(found.get(key))
