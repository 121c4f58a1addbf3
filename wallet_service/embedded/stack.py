"""Several processes as one: started, started again when they end, stopped from the top down."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from wallet_service.embedded.errors import EmbeddedError
from wallet_service.embedded.process import Process

_RETRY_S_MIN: Final = 0.1
_RETRY_S_MAX: Final = 5.0
_LOG_CHECK_S: Final = 10.0
_SLOW_S: Final = 10.0


class Stack:
    """Supervises processes; `report` gets one line for everything an operator should know."""

    def __init__(self, *, report: Callable[[str], None]) -> None:
        self._report = report
        self._started: list[tuple[Process, asyncio.Task[None]]] = []
        self._logs: asyncio.Task[None] | None = None

    async def start(self, *processes: Process) -> None:
        """Start these together and keep them running; raises EmbeddedError if one cannot start."""
        results = await asyncio.gather(
            *(self._start(process) for process in processes), return_exceptions=True
        )
        for process, result in zip(processes, results, strict=True):
            if result is None:
                watch = asyncio.create_task(self._watch(process), name=f"watch {process.name}")
                self._started.append((process, watch))
        if self._logs is None:
            self._logs = asyncio.create_task(self._bound_logs(), name="bound logs")
        for result in results:
            if result is not None:
                raise result

    async def stop(self) -> None:
        """Stop everything, layer by layer, so that nothing loses a server it still uses."""
        if self._logs:
            self._logs.cancel()
        for _, watch in self._started:
            watch.cancel()
        await asyncio.gather(*(watch for _, watch in self._started), return_exceptions=True)
        processes = [process for process, _ in self._started]
        for layer in sorted({process.layer for process in processes}, reverse=True):
            await asyncio.gather(
                *(process.stop() for process in processes if process.layer == layer)
            )
        self._started.clear()

    async def _start(self, process: Process) -> None:
        """Start one; where that takes long, say what it is waiting for."""

        def tell() -> None:
            self._report(
                f"{process.name} takes longer than {_SLOW_S:g} s: waiting for "
                f"{process.waiting_for()} (up to {process.ready_timeout_s:g} s)"
            )

        reminder = asyncio.get_running_loop().call_later(_SLOW_S, tell)
        try:
            await process.start()
        finally:
            reminder.cancel()

    async def _watch(self, process: Process) -> None:
        """Start a process again whenever it ends, less and less eagerly if that does not help."""
        loop = asyncio.get_running_loop()
        pause_s = _RETRY_S_MIN
        while True:
            began = loop.time()
            how = await process.wait()
            if loop.time() - began > _RETRY_S_MAX:
                pause_s = _RETRY_S_MIN
            self._report(f"{process.name} {how}; starting it again")
            while True:
                await process.stop()  # whatever it left running
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _RETRY_S_MAX)
                try:
                    await self._start(process)
                except EmbeddedError as error:
                    self._report(str(error))
                else:
                    break
            self._report(f"{process.name} runs again")

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECK_S)
            for process, _ in self._started:
                with contextlib.suppress(OSError):
                    process.bound_logs()
