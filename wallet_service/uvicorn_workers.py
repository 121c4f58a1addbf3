"""Uvicorn in several processes, forked from one that has imported everything.

Uvicorn's own `--workers` lets every worker import the application anew. Forking costs that once:
the service is ready sooner, a dead worker is replaced in milliseconds, and what all of them import
is in memory once. Nothing is open before the fork: connections, threads and loops begin after it.

::

    parent ── binds the port, makes the application, forks, waits
      ├─ worker ── uvicorn.Server on the shared port     ended by itself: forked again
      └─ worker                                          parent gone: SIGTERM from the kernel
"""

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from prometheus_client import multiprocess

from wallet_service.api.app import create_app_from_env
from wallet_service.embedded.spawn import die_with_parent
from wallet_service.settings import Settings, load_settings

_DRAIN_S: Final = 10
# Longer than clients and load balancers keep a connection, so that they close it, not we.
_KEEP_ALIVE_S: Final = 75
_SHORT_LIFE_S: Final = 1.0
_STARTUP_FAILED: Final = 3
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# How many objects more than before start a collection of the young ones, how many of these one of
# the middle-aged, and how many of those one of all.
_COLLECT_AFTER: Final = (10_000, 20, 10)
_MANY_OBJECTS: Final = 500_000

log: Final = logging.getLogger("uvicorn.error")


def main() -> None:
    """Serve until told to stop, as the environment says."""
    settings = load_settings()
    app = create_app_from_env()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        # Nobody here asks where a request came from.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    listener = _listen(settings)
    # The collector would touch, and so copy, every page that the workers share.
    gc.collect()
    gc.freeze()
    Workers(settings.workers, lambda: _serve(config, listener)).run()


class Workers:
    """Keeps a number of forked processes running `work`, until SIGTERM or SIGINT."""

    def __init__(self, number: int, work: Callable[[], int]) -> None:
        self._number = number
        self._work = work
        self._began: dict[int, float] = {}
        self._is_stopping = False

    def run(self) -> None:
        """Fork, wait, fork again what ended; returns when all have stopped."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._number):
            self._fork()
        while self._began:
            pid, status = os.wait()
            began = self._began.pop(pid, None)
            if began is None or self._is_stopping:
                continue
            if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
                multiprocess.mark_process_dead(pid)  # pyright: ignore[reportUnknownMemberType]
            code = os.waitstatus_to_exitcode(status)
            log.warning("worker %s ended with %s; starting another", pid, code)
            # One that fails at once would otherwise be tried again without a pause.
            time.sleep(max(0.0, began + _SHORT_LIFE_S - time.monotonic()))
            if not self._is_stopping:
                self._fork()

    def _fork(self) -> None:
        parent = os.getpid()
        # A signal in between would find the parent's handlers in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for number in _STOP_SIGNALS:
                    signal.signal(number, _end)
                die_with_parent(parent, signal.SIGTERM)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
                code = self._work()
            except BaseException:
                log.exception("worker failed")
            finally:
                sys.stderr.flush()
                os._exit(code)
        self._began[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True
        for pid in self._began:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


def _end(_number: int, _frame: FrameType | None) -> None:
    """Stop at once: uvicorn is not serving yet, or has served all it will."""
    os._exit(0)


def _serve(config: uvicorn.Config, listener: socket.socket) -> int:
    """Run one worker; returns its exit code."""
    server = _Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else _STARTUP_FAILED


class _Server(uvicorn.Server):
    """Uvicorn's, whose garbage collector leaves alone what stays."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _spare_the_collector()


def _spare_the_collector() -> None:
    """Let the garbage collector look only where there may be garbage.

    A request makes no cycles, so all that it leaves is freed without a collector. With Python's own
    thresholds (700, 10, 10) that one took 9 % of a worker's time all the same, mostly looking
    through caches: 130 ms in one go for 60,000 entries. With these it takes 0.1 %. What an error
    leaves in cycles is found after 10,000 objects, some MB.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    gc.callbacks.append(_set_aside)


def _set_aside(phase: str, collection: dict[str, int]) -> None:
    """Once caches have grown by much, look through that part of them no more.

    What is set aside and then falls out of its cache is freed all the same, unless it has become
    part of a cycle: hence only in large portions, beside which what was under way is nothing.
    """
    is_full = phase == "stop" and collection["generation"] == 2  # noqa: PLR2004 (the oldest)
    if is_full and len(gc.get_objects(2)) > _MANY_OBJECTS:
        gc.freeze()


def _listen(settings: Settings) -> socket.socket:
    """Open the port that all workers accept on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.set_inheritable(True)
    return listener


if __name__ == "__main__":
    main()
