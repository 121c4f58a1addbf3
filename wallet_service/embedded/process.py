"""One child process: started through `spawn.py`, watched until ready, stopped by a signal."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from wallet_service.embedded.errors import StartFailed

_SPAWN: Final = Path(__file__).with_name("spawn.py")
_LOG_BYTES_MAX: Final = 8 * 1024 * 1024
_LOG_LINES_SHOWN: Final = 12
_POLL_S: Final = 0.01


class Process:
    """A program that runs as our child. Subclasses say what to prepare and when it is ready.

    ::

        stopped ── start ──► starting ── ready ──► running ── stop ──► stopped
           ▲                    │ ended, or too slow: StartFailed │ ended by itself
           └────────────────────┴─────────────────────────────────┘ (Stack starts it again)
    """

    name: str = "process"
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 5.0
    ready_timeout_s: float = 30.0
    unprivileged: bool = False
    # Whether those that the program started hear the signal at once, not when it tells them.
    signals_group: bool = False
    # Processes of a higher layer use those of a lower one, and are stopped before them.
    layer: int = 0
    # Open files of ours that the program is to have too, under the same numbers.
    passed_files: tuple[int, ...] = ()

    def __init__(
        self, *, log_path: Path, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log_path = log_path
        self.folder = folder
        self.environment = dict(environment or {})
        self._child: asyncio.subprocess.Process | None = None

    def command(self) -> Sequence[str]:
        """Program (an absolute path) and arguments."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Make ready whatever the program needs to find; runs before every start."""

    async def wait_ready(self) -> None:
        """Return once the program can be used."""

    def waiting_for(self) -> str:
        """Say what a start that takes long is waiting for."""
        return "the program to be ready"

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and self._child.returncode is None else None

    async def start(self) -> None:
        """Start and wait until ready; raises EmbeddedError, and then nothing runs."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        await self.prepare()
        self._child = await self._spawn(self.command())
        ended = asyncio.ensure_future(self._child.wait())
        ready = asyncio.ensure_future(self.wait_ready())
        try:
            await asyncio.wait(
                (ended, ready),
                timeout=self.ready_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ready.done() and not ended.done():
                ready.result()
                return
            code = ended.result() if ended.done() else None
        except BaseException:
            await self.stop()
            raise
        finally:
            ready.cancel()
            ended.cancel()
        await self.stop()
        if code is not None:
            raise self.failure(how_it_ended(code))
        raise self.failure(
            f"was not ready after {self.ready_timeout_s:g} s, waiting for {self.waiting_for()}"
        )

    async def wait(self) -> str:
        """Wait until the child ends and say how."""
        assert self._child is not None, "never started"
        return how_it_ended(await self._child.wait())

    async def stop(self) -> None:
        """Ask to stop, insist after `stop_timeout_s`, and leave none of its own children behind."""
        child = self._child
        if child is None:
            return
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if self.signals_group:
                    os.killpg(child.pid, self.stop_signal)
                else:
                    child.send_signal(self.stop_signal)
            try:
                await asyncio.wait_for(child.wait(), self.stop_timeout_s)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        # The child leads a process group of its own; what it forked may have outlived it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        self._child = None

    async def run_once(self, command: Sequence[str]) -> None:
        """Run a preparing program to its end, as the server would run; raises StartFailed."""
        child = await self._spawn(command)
        try:
            code = await asyncio.wait_for(child.wait(), self.ready_timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
            raise
        if code != 0:
            raise self.failure(f"{Path(command[0]).name} {how_it_ended(code)}")

    def failure(self, why: str) -> StartFailed:
        """Describe a failed start with the end of the log."""
        lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        shown = "".join(f"\n    {line}" for line in lines)
        return StartFailed(f"{self.name} could not be started: {why}\n  {self.log_path}:{shown}")

    def logs(self) -> Sequence[Path]:
        """The files that the program and those that it started write to."""
        return (self.log_path,)

    def bound_logs(self) -> None:
        """Keep each log and one older part of it, each of bounded size.

        The child appends, so the file can be emptied under its hands.
        """
        for path in self.logs():
            if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
                shutil.copyfile(path, path.with_suffix(".1.log"))
                os.truncate(path, 0)

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        mode = "unprivileged" if self.unprivileged else "keep"
        with self.log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", str(_SPAWN)),
                *(str(os.getpid()), str(int(self.stop_signal)), mode, str(self.folder), "--"),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.passed_files,
                # Python children keep what they compiled: they start a second sooner.
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **self.environment},
                # Ctrl-C reaches only the supervisor, which stops its children in order.
                start_new_session=True,
            )


async def poll_until(check: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until the answer is yes; the caller bounds the time."""
    while not await check():  # noqa: ASYNC110 (another program cannot set our Event)
        await asyncio.sleep(_POLL_S)


def how_it_ended(code: int) -> str:
    """Put an exit code in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # one of those for real-time programs
        return f"was ended by signal {-code}"
