"""What was looked up, kept under its key: the entries that were used last.

What is being read while its key is forgotten is of use once, to those who asked, and is not kept:
it may be older than the change that it was forgotten for.
"""

from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Generic, TypeVar

from msgspec import Struct

__all__ = ["KeptEntries"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Reads(Struct, eq=False):
    """Those that read a key, and began before it was forgotten."""

    count: int = 0


class KeptEntries(Generic[K, V]):
    """Entries of an epoch each: whoever goes on to another has forgotten all of the one before."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._entries: OrderedDict[K, tuple[int, V]] = OrderedDict()
        self._reads: dict[K, _Reads] = {}

    def use(self, key: K, epoch: int = 0) -> V | None:
        """What is kept, if it was read in this epoch."""
        entry = self._entries.get(key)
        if entry is None or entry[0] != epoch:
            return None
        self._entries.move_to_end(key)
        return entry[1]

    @contextmanager
    def reading(self, key: K, epoch: int = 0) -> Generator[Callable[[V], None]]:
        """While a key is read, in this epoch; gives what keeps the value, if it is still good."""
        reads = self._reads.get(key)
        if reads is None:
            reads = self._reads[key] = _Reads()
        reads.count += 1

        def keep(value: V) -> None:
            if self._reads.get(key) is reads:
                self._keep(key, value, epoch)

        try:
            yield keep
        finally:
            reads.count -= 1
            if reads.count == 0 and self._reads.get(key) is reads:
                del self._reads[key]

    def forget(self, key: K) -> None:
        """It has changed: neither what is kept nor what is being read is good any more."""
        self._entries.pop(key, None)
        self._reads.pop(key, None)

    def _keep(self, key: K, value: V, epoch: int) -> None:
        self._entries[key] = epoch, value
        if len(self._entries) > self._size_max:
            self._entries.popitem(last=False)
