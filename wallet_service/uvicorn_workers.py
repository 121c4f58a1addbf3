"""Uvicorn in several processes, forked from one that has imported everything.

Uvicorn's own `--workers` lets every worker import the application anew. Forking costs that once:
the service is ready sooner, a dead worker is replaced in milliseconds, and what all of them import
is in memory once. Nothing is open before the fork: connections, threads and loops begin after it.

::

    parent ── binds the port, makes the application, forks, waits (`forked_workers.py`)
      ├─ api process ── uvicorn.Server on the shared port
      ├─ api process
      └─ worker, where `wallet up` asks for it: a third of the memory of its own start
"""

import gc
import importlib
import os
import socket
import sys
from pathlib import Path
from typing import Final

import uvicorn

from wallet_service.api.app import create_app_from_env
from wallet_service.api.whole_answers import WholeAnswers
from wallet_service.embedded.spawn import name_process
from wallet_service.forked_workers import Work, Workers
from wallet_service.settings import Settings, load_settings

_DRAIN_S: Final = 10
# Who has not stopped by then hangs.
_PATIENCE_S: Final = 1.5 * _DRAIN_S
# Longer than clients and load balancers keep a connection, so that they close it, not we.
_KEEP_ALIVE_S: Final = 75
_STARTUP_FAILED: Final = 3
# How many objects more than before start a collection of the young ones, how many of these one of
# the middle-aged, and how many of those one of all.
_COLLECT_AFTER: Final = (10_000, 20, 10)
_MANY_OBJECTS: Final = 500_000
# Litestar loads it wherever it is installed, for models that nobody here has: 6 MB.
_NOT_NEEDED: Final = ("pydantic",)
# What uvicorn, anyio and the reading of migrations import when they begin.
_LOADED_LATER: Final = ("uvloop", "anyio._backends._asyncio", "importlib.resources.readers")


def main(*, background_log: Path | None = None, operator: int | None = None) -> None:
    """Serve until told to stop, as the environment says.

    With `background_log`, do the background work too, in a process that logs there, and is named
    so in `ps` and `top`. `operator` is a file descriptor for lines about processes that ended.
    """
    settings = load_settings()
    for name in _NOT_NEEDED:
        sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType, reportCallIssue]
    app = create_app_from_env()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=WholeAnswers,
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
    # What workers would load when they start is loaded here: less is their own, and they are ready
    # sooner.
    config.load()
    for name in (*_LOADED_LATER, *(("wallet_service.worker",) if background_log else ())):
        importlib.import_module(name)
    # The collector would touch, and so copy, every page that the workers share.
    gc.collect()
    gc.freeze()
    works = [Work("api process", lambda: _serve(config, listener))] * settings.workers
    if background_log:
        works.append(
            Work("worker", lambda: _work_in_background(settings, listener, background_log))
        )
    Workers(works, listener=listener, patience_s=_PATIENCE_S, operator=operator).run()


def _serve(config: uvicorn.Config, listener: socket.socket) -> int:
    """Run one worker; returns its exit code."""
    server = _Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else _STARTUP_FAILED


def _work_in_background(settings: Settings, listener: socket.socket, log_path: Path) -> int:
    """Be the worker of this machine; returns its exit code."""
    # Requests that came here would wait for ever once the others have gone.
    listener.close()
    with log_path.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    name_process(log_path.stem)
    import uvloop  # noqa: PLC0415 (uvicorn imports it when it needs it)

    from wallet_service.worker import work  # noqa: PLC0415 (the API alone does without)

    uvloop.run(work(settings))
    return 0


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
    log_path, descriptor = sys.argv[1:]
    main(background_log=Path(log_path), operator=int(descriptor))
