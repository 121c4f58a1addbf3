"""When a batch leaves: how long it waits for others that could come along.

What a batch costs whatever its size, in statements and switches between processes, is most of what
a few operations cost. So while a batch is under way and few wait, they wait for its answers; those
who get them will soon ask again, and all go together. Where many wait, that cost is shared already,
and the next batch begins while the one before commits.
"""

import asyncio
from collections.abc import Sized
from typing import Final

__all__ = ["Gathering"]

_ENOUGH: Final = 64
"""With so many a batch does not wait for the one before."""
_PATIENCE_S: Final = 0.25
"""A batch that takes longer has met with something: a lock, or a connection that died."""
_QUIET_TURNS: Final = 3
"""Turns of the loop that a request takes from the socket into the queue."""
_FEW: Final = 3
"""Answers that nobody waits for the next questions of."""
_NAPS_MAX: Final = 3
_NAP_S: Final = 0.001
"""How often, and how long, a batch waits for those who were answered just now."""
_RETURN_S: Final = 0.003
"""Who was answered longer ago has something else to do."""


class Gathering:
    """Knows the batches that are under way in one queue, and who was answered last."""

    def __init__(self, *, size_max: int) -> None:
        self._size_max = size_max
        self._under_way = 0
        self._answered = 0
        self._answered_at = 0.0
        self._given_up = 0
        """How many of them are not waited for any more."""
        self._news = asyncio.Event()

    def begin(self) -> None:
        """A batch is under way."""
        self._under_way += 1

    def end(self, *, answered: int = 0) -> None:
        """A batch is through; so many were answered."""
        self._under_way -= 1
        self._given_up = min(self._given_up, self._under_way)
        if answered:
            self._answered = answered
            self._answered_at = asyncio.get_running_loop().time()
        self._news.set()

    def notice(self, waiting: int) -> None:
        """So many are waiting now."""
        if waiting >= _ENOUGH:
            self._news.set()

    async def wait(self, queue: Sized) -> None:
        """Return when a batch of those who wait in ``queue`` should leave.

        A lone request waits for a few empty turns of the loop, some microseconds. One caller at a
        time may wait here.
        """
        if self._under_way > self._given_up:
            await self._wait_for_answers(queue)
        length, quiet, naps = len(queue), 0, 0
        expected = length + self._returning()
        while quiet < _QUIET_TURNS and length < self._size_max:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(queue) == length else 0
            length = len(queue)
            if quiet == _QUIET_TURNS and naps < _NAPS_MAX and length * 4 < expected * 3:
                await asyncio.sleep(_NAP_S)
                naps += 1
                quiet = 0

    async def _wait_for_answers(self, queue: Sized) -> None:
        """Until no batch is under way, so many wait, or that takes unusually long."""
        timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._give_up)
        while self._under_way > self._given_up and len(queue) < _ENOUGH:
            self._news.clear()
            await self._news.wait()
        timer.cancel()

    def _give_up(self) -> None:
        self._given_up = self._under_way
        self._news.set()

    def _returning(self) -> int:
        """How many will probably ask again: those who were answered a moment ago."""
        if self._answered <= _FEW:
            return 0
        passed_s = asyncio.get_running_loop().time() - self._answered_at
        return self._answered if passed_s < _RETURN_S else 0
