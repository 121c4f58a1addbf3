"""Processes that one parent forks, and forks again whenever they end.

::

    parent ── forks each of its works, waits for what ends    told to stop: SIGTERM to each, waits
      ├─ work   ended by itself: forked again, after a pause  still there after that: SIGKILL
      └─ work   parent gone: SIGTERM from the kernel

The pause is the child's: the parent is always free for the others, and for being told to stop.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from msgspec import Struct
from prometheus_client import multiprocess

from wallet_service.embedded.process import how_it_ended
from wallet_service.embedded.spawn import die_with_parent

__all__ = ["PAUSE_S_MAX", "Work", "Workers", "next_pause"]

PAUSE_S_MAX: Final = 5.0
"""The longest pause, and how long a process has to live for the next to need none."""

_PAUSE_S_MIN: Final = 0.1
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

log: Final = logging.getLogger("uvicorn.error")


class Work(Struct, frozen=True):
    """What one process does; `run` returns its exit code."""

    name: str
    run: Callable[[], int]


class _Life(Struct, frozen=True):
    """One process: it begins its work after its pause."""

    work: Work
    begins: float
    pause_s: float


class Workers:
    """Keeps a forked process running for each of `works`, until SIGTERM or SIGINT.

    When told to stop, it lets go of `listener`, so that a successor may have the port, and kills
    what has not ended `patience_s` later. `operator` is a file descriptor for lines that somebody
    should see: each process that ended by itself.
    """

    def __init__(
        self,
        works: list[Work],
        *,
        listener: socket.socket,
        patience_s: float,
        operator: int | None = None,
        pause_s_min: float = _PAUSE_S_MIN,
    ) -> None:
        self._works = works
        self._listener = listener
        self._patience_s = patience_s
        self._operator = operator
        self._pause_s_min = pause_s_min
        self._lives: dict[int, _Life] = {}
        self._is_stopping = False

    def run(self) -> None:
        """Fork, wait, fork again what ended; returns when all have stopped."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        for work in self._works:
            self._fork(work)
        while self._lives:
            pid, status = os.wait()
            life = self._lives.pop(pid, None)
            if life is None or self._is_stopping:
                continue
            if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
                multiprocess.mark_process_dead(pid)  # pyright: ignore[reportUnknownMemberType]
            how = how_it_ended(os.waitstatus_to_exitcode(status))
            log.warning("%s %s %s; starting it again", life.work.name, pid, how)
            self._tell(f"{life.work.name} {how}; starting it again")
            lived_s = time.monotonic() - life.begins
            self._fork(life.work, pause_s=next_pause(lived_s, life.pause_s, self._pause_s_min))

    def _fork(self, work: Work, *, pause_s: float = 0.0) -> None:
        parent = os.getpid()
        # A signal in between would find the parent's handlers in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        # One that came just before has told all that there are, and would not reach this one.
        if not self._is_stopping:
            pid = os.fork()
            if pid == 0:
                self._be(work, pause_s, parent)
            self._lives[pid] = _Life(work, time.monotonic() + pause_s, pause_s)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def _be(self, work: Work, pause_s: float, parent: int) -> None:
        """Be the child; does not return."""
        code = 1
        try:
            for number in _STOP_SIGNALS:
                signal.signal(number, _end)
            die_with_parent(parent, signal.SIGTERM)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
            self._leave_operator()
            time.sleep(pause_s)
            code = work.run()
        except BaseException:
            log.exception("%s failed", work.name)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            signal.signal(signal.SIGALRM, self._kill)
            signal.setitimer(signal.ITIMER_REAL, self._patience_s)
        self._listener.close()
        self._leave_operator()
        self._send(signal.SIGTERM)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for pid in self._lives:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _tell(self, line: str) -> None:
        """Write a line for the operator, unless nobody reads: the workers come first."""
        operator = self._operator
        if operator is None:
            return
        with contextlib.suppress(OSError):
            if select.select((), (operator,), (), 0)[1]:
                os.write(operator, f"{line}\n".encode())

    def _leave_operator(self) -> None:
        """Let the reader see an end, however long this process goes on."""
        operator, self._operator = self._operator, None
        if operator is not None:
            os.close(operator)


def next_pause(lived_s: float, pause_s: float, least_s: float = _PAUSE_S_MIN) -> float:
    """How long to wait, in seconds, after a process that lived so long and had waited so long.

    One that has worked is replaced at once; one that does not last, less and less eagerly.
    """
    if lived_s > PAUSE_S_MAX:
        return 0.0
    return max(min(2 * pause_s, PAUSE_S_MAX), least_s)


def _end(_number: int, _frame: FrameType | None) -> None:
    """Stop at once: the work has not begun, or has no use for the signal, or has done with it."""
    os._exit(0)
