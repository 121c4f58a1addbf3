"""Operations that wait for a batch, and for their answers: bounded, and each with a deadline.

Two lanes lead into batches: one for whoever comes, and one for those whose customer is busy, whose
batches wait for the lock. What one batch under way is about, no other may take.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec import Struct

from wallet_service.batch_gathering import Gathering
from wallet_service.budget_counters import Place, wide_places
from wallet_service.decision import Operation
from wallet_service.errors import Busy, OutcomePending, WalletError

__all__ = ["Lane", "Pending", "PendingOperations"]

_WATCH_S = 0.1
"""How late the answer may be that an outcome is not known by its deadline."""
_LEFT_MAX = 4
"""So many batches' worth of operations are looked through for some that can go."""


class Pending(Struct, eq=False):
    """A request that waits for its outcome."""

    operation: Operation
    reply: asyncio.Future[bytes]
    deadline: float
    tries: int = 0
    is_alone: bool = False
    subjects: tuple[object, ...] = ()
    """Its customer, and `budgets`: what one batch at a time may hold."""
    budgets: set[Place] = set()
    """Those of many customers that it names."""
    takes_locks: bool = False
    """It was tried without, and refused: what is refused is refused under locks."""
    has_moved: bool = False
    """It was tried without, and its customer had moved before it was written."""
    is_taken: bool = False
    """It is in a batch; until then, nothing of it can have happened."""
    is_unsure: bool = False
    """It was in a commit that got lost: nobody knows whether it happened."""
    ended_hold: UUID | None = None

    def resolve(self, reply: bytes) -> None:
        """Answer with its reply, if nobody has answered yet."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def refuse(self, error: BaseException) -> None:
        """Answer with an error, if nobody has answered yet."""
        if not self.reply.done():
            self.reply.set_exception(error)

    def fail(self, error: BaseException) -> None:
        """Its batch did not get through; Busy would promise that nothing happened."""
        self.refuse(OutcomePending() if self.is_unsure and isinstance(error, Busy) else error)

    def give_up(self, error: WalletError) -> None:
        """Answer with an error which says that nothing has happened, if that is so."""
        self.refuse(OutcomePending() if self.is_taken or self.is_unsure else error)


class Lane(deque[Pending]):
    """One of the queues that lead into batches; whoever adds to it wakes who takes from it."""

    def __init__(self) -> None:
        super().__init__()
        self.news = asyncio.Event()

    def add(self, pendings: Iterable[Pending]) -> None:
        """Put these behind the others."""
        self.extend(pendings)
        self.news.set()

    def add_first(self, pendings: Sequence[Pending]) -> None:
        """Put these back before the others, in their order."""
        self.extendleft(reversed(pendings))
        self.news.set()


class PendingOperations:
    """All that a committer has taken in and not answered."""

    def __init__(
        self, *, gathering: Gathering, batch_max: int, queue_max: int, deadline_s: float
    ) -> None:
        self._gathering = gathering
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._deadline_s = deadline_s
        self.ready = Lane()
        self.locked_out = Lane()
        """Their customers are busy in other processes."""
        self._unanswered: deque[Pending] = deque()
        """All that were taken in, at least those without an answer, in the order of deadlines."""
        self._watch: asyncio.TimerHandle | None = None
        self._rate = 0.0
        """Operations a second that get through while others wait; 0: not known yet."""
        self._measured_at = 0.0
        """When the last batch was judged, or one began to wait for nobody else."""
        self._moving: set[object] = set()
        """What operations in batches under way are about."""

    def __len__(self) -> int:
        """How many wait for a batch."""
        return len(self.ready) + len(self.locked_out)

    def take_in(self, operations: Sequence[Operation]) -> list[asyncio.Future[bytes]]:
        """Let operations wait for their replies, which come in their order; raises Busy."""
        waiting = len(self)
        if waiting + len(operations) > self._queue_max:
            raise Busy("too many operations are waiting")
        if self._rate and waiting > max(2 * self._batch_max, self._rate * self._deadline_s / 2):
            raise Busy("too many operations are waiting")
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not waiting:
            self._measured_at = now
        deadline = now + self._deadline_s
        pendings = [_pending(operation, loop.create_future(), deadline) for operation in operations]
        self._unanswered.extend(pendings)
        if self._watch is None:
            self._watch = loop.call_later(_WATCH_S, self._end_overdue)
        self.ready.add(pendings)
        self._gathering.notice(len(self.ready))
        return [pending.reply for pending in pendings]

    def take(self, lane: Lane) -> list[Pending]:
        """The next batch; one that must run alone is a batch of its own.

        Those that take the locks go together: there is no need that the others take them too. Its
        customers are left out of other batches until `let_go`.
        """
        batch: list[Pending] = []
        left: list[Pending] = []
        while lane and len(batch) < self._batch_max and len(left) < _LEFT_MAX * self._batch_max:
            pending = lane[0]
            if pending.is_alone and batch:
                break
            lane.popleft()
            if pending.reply.done():  # nobody waits for it any more, and nothing happened
                continue
            is_of_another_kind = batch and pending.takes_locks != batch[0].takes_locks
            if is_of_another_kind or not self._moving.isdisjoint(pending.subjects):
                left.append(pending)
                continue
            batch.append(pending)
            pending.is_taken = True
            if pending.is_alone:
                break
        lane.extendleft(reversed(left))
        self._moving.update(subject for one in batch for subject in one.subjects)
        return batch

    def let_go(self, batch: Sequence[Pending]) -> None:
        """A batch is through: others may be about the same."""
        self._moving.difference_update(subject for one in batch for subject in one.subjects)
        self.ready.news.set()
        self.locked_out.news.set()

    def measure(self, judged: int) -> None:
        """Learn how many operations a second get through while others wait.

        More than get through in half the time that one may take are not taken in: whoever is let in
        under overload is answered in time, the others know at once.
        """
        now = asyncio.get_running_loop().time()
        if self.ready:
            rate = judged / max(now - self._measured_at, 0.01)
            self._rate = rate if not self._rate else self._rate + (rate - self._rate) / 8
        self._measured_at = now

    def end(self, error: WalletError) -> None:
        """Answer all that are left; nobody waits any more."""
        for pending in (*self.ready, *self.locked_out, *self._unanswered):
            pending.give_up(error)
        if self._watch is not None:
            self._watch.cancel()

    def _end_overdue(self) -> None:
        """Answer those whose deadline has passed; they came in the order of their deadlines."""
        loop = asyncio.get_running_loop()
        while self._unanswered:
            pending = self._unanswered[0]
            if not pending.reply.done():
                if loop.time() < pending.deadline:
                    break
                pending.give_up(Busy("no batch in time"))
            self._unanswered.popleft()
        for lane in (self.ready, self.locked_out):
            while lane and lane[0].reply.done():
                lane.popleft()
        self._watch = loop.call_later(_WATCH_S, self._end_overdue) if self._unanswered else None


def _pending(operation: Operation, reply: asyncio.Future[bytes], deadline: float) -> Pending:
    customer = operation.customer
    budgets = wide_places([operation])
    subjects = (*budgets,) if customer is None else (customer, *budgets)
    return Pending(operation, reply, deadline, subjects=subjects, budgets=budgets)
