"""The database of `wallet up`, brought to this version by a process that ends once it is.

A driver, migrations and price lists take 12 MB that the supervisor would carry ever after. So it
forks before anything else, and the child imports while servers start:

::

    up ── task: a line of JSON ──► child: database, migrations, first key
       ◄── what came of it: a line ──┘ and ends
"""

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Generator
from typing import Final

import click
from msgspec import Struct, json

from wallet_service.cli.data_folder import Credentials
from wallet_service.cli.stores import explained
from wallet_service.embedded.postgres import ensure_database
from wallet_service.embedded.spawn import die_with_parent

_ALWAYS: Final = ("wallet_service.migrate", "wallet_service.cli.first_key")
# Making a first organization takes imports too, and initdb takes longer than those.
_WITHOUT_A_KEY: Final = ("wallet_service.api_keys", "wallet_service.catalog")


class Task(Struct, frozen=True, kw_only=True):
    """What to prepare; where it has a server of its own, `server_url` says how to ask for more."""

    database_url: str
    server_url: str | None
    service_url: str
    known: Credentials | None


class _Outcome(Struct, frozen=True, kw_only=True):
    """Credentials, or why there are none."""

    credentials: Credentials | None = None
    refusal: str = ""


class Preparation:
    """The child that waits for its task."""

    def __init__(self, pid: int, door: socket.socket) -> None:
        self._pid: int | None = pid
        self._door = door

    async def run(self, task: Task) -> Credentials:
        """Hand over the task, and wait; raises ClickException if it cannot be done."""
        reader, writer = await asyncio.open_unix_connection(sock=self._door)
        line = b""
        try:
            writer.write(json.encode(task) + b"\n")
            line = await reader.readline()
            await reader.read()  # until it has ended
        except ConnectionError:
            pass  # it has ended before it read the task: what it answered decides
        finally:
            writer.close()
            self.end()
        if not line:
            message = "the database could not be prepared"
            raise click.ClickException(message)
        outcome = json.decode(line, type=_Outcome)
        if outcome.credentials is None:
            raise click.ClickException(outcome.refusal)
        return outcome.credentials

    def end(self) -> None:
        """Leave nothing behind, whatever came of it."""
        self._door.close()
        if self._pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._pid = None


@contextlib.contextmanager
def preparing(known: Credentials | None) -> Generator[Preparation]:
    """Fork; only while there are neither threads nor a loop."""
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ours.close()
            # Of Ctrl-C only the supervisor makes something.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            die_with_parent(parent, signal.SIGKILL)
            code = _serve(theirs, (*_ALWAYS, *(() if known else _WITHOUT_A_KEY)))
        except BaseException:  # noqa: BLE001 (nothing may return into what the parent goes on with)
            traceback.print_exc()
        finally:
            os._exit(code)
    theirs.close()
    preparation = Preparation(pid, ours)
    try:
        yield preparation
    finally:
        preparation.end()


def _serve(door: socket.socket, imports: tuple[str, ...]) -> int:
    """The child: import, wait for the task, do it, answer; returns its exit code."""
    for name in imports:
        importlib.import_module(name)
    with door, door.makefile("rwb") as file:
        line = file.readline()
        if not line:
            return 0  # the start was given up before
        try:
            with explained():
                credentials = asyncio.run(_prepare(json.decode(line, type=Task)))
            outcome = _Outcome(credentials=credentials)
        except click.ClickException as error:
            outcome = _Outcome(refusal=error.message)
        file.write(json.encode(outcome) + b"\n")
    return 0


async def _prepare(task: Task) -> Credentials:
    """Bring the database to this version and make sure that somebody can use it."""
    from wallet_service.cli.first_key import first_key
    from wallet_service.migrate import migrate

    if task.server_url:
        await ensure_database(task.server_url)
    await migrate(task.database_url)
    return await first_key(task.database_url, task.known, url=task.service_url)
