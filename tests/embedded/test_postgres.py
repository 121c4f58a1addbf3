"""The private Postgres: what it survives, and what it refuses."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from tests.waiting import PATIENCE_S, until
from wallet_service.embedded import process
from wallet_service.embedded.errors import AlreadyRunning, ProgramNotFound, StartFailed
from wallet_service.embedded.locks import is_running_in
from wallet_service.embedded.postgres import Postgres

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs unix sockets")


@pytest.fixture
def folder():
    """A short folder: sockets have to fit."""
    path = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
async def initialised():
    """A data folder fresh from initdb, which takes a second, to be copied."""
    path = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    server = describe(path)
    await server.prepare()
    yield path / "postgres"
    shutil.rmtree(path)


@pytest.fixture
def prepared(folder, initialised):
    """A short folder with a data folder in it."""
    shutil.copytree(initialised, folder / "postgres")
    return folder


def describe(folder: Path) -> Postgres:
    """A server in a folder, durable as in production."""
    return Postgres(
        folder / "postgres",
        socket_folder=folder,
        log_path=folder / "postgres.log",
        settings={"shared_buffers": "16MB"},
    )


async def note(server: Postgres, text: str) -> list[str]:
    """Write a line, and return all that were ever written."""
    connection = await asyncpg.connect(server.url("postgres"))
    await connection.execute("create table if not exists notes (id serial, text text)")
    await connection.execute("insert into notes (text) values ($1)", text)
    rows = await connection.fetch("select text from notes order by id")
    await connection.close()
    return [row["text"] for row in rows]


async def test_rows_survive_a_stop_and_every_kind_of_crash(prepared):
    server = describe(prepared)
    await server.start()
    assert await note(server, "first") == ["first"]
    await server.stop()
    assert server.pid is None

    await server.start()
    assert await note(server, "after a stop") == ["first", "after a stop"]
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
    assert (prepared / "postgres/postmaster.pid").exists(), "a crash leaves its lock file"

    # A new supervisor knows nothing of the old one.
    successor = describe(prepared)
    await asyncio.wait_for(_start_patiently(successor), PATIENCE_S)
    assert (await note(successor, "after a crash"))[-1] == "after a crash"
    await successor.stop()


async def _start_patiently(server: Postgres) -> None:
    """Start as the stack does: sessions of a killed server take a moment to notice."""
    while True:
        try:
            await server.start()
        except StartFailed:
            await asyncio.sleep(0.1)
        else:
            return


async def test_lock_files_that_name_somebody_else_are_removed(prepared):
    server = describe(prepared)
    await server.start()
    await server.stop()
    lines = f"{os.getpid()}\n{prepared}\n"
    (prepared / "postgres/postmaster.pid").write_text(lines)
    (prepared / ".s.PGSQL.5432.lock").write_text(lines)
    await server.start()
    await server.stop()


def test_a_zombie_does_not_hold_a_lock(folder):
    child = subprocess.Popen([sys.executable, "-c", ""], cwd=folder)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and nobody has asked how
    assert not is_running_in(child.pid, folder)
    child.wait()


async def test_a_second_server_on_the_same_folder_is_refused(prepared, monkeypatch):
    server = describe(prepared)
    await server.start()
    monkeypatch.setattr("wallet_service.embedded.postgres._PREDECESSOR_S", 0.1)
    with pytest.raises(AlreadyRunning, match=str(server.pid)):
        await describe(prepared).start()
    assert await note(server, "unharmed") == ["unharmed"]
    await server.stop()


async def test_it_ends_with_its_supervisor_however_that_ends(prepared):
    supervisor = subprocess.Popen(  # noqa: ASYNC220 (it is killed from outside)
        [sys.executable, "-c", _SUPERVISOR, str(prepared)],
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(supervisor.stdout.readline())
    assert is_running_in(pid, prepared / "postgres")
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    if sys.platform == "linux":
        await until(lambda: not is_running_in(pid, prepared / "postgres"))
    server = describe(prepared)
    await server.start()
    await server.stop()


_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from wallet_service.embedded.postgres import Postgres

async def main(folder):
    server = Postgres(folder / "postgres", socket_folder=folder, log_path=folder / "postgres.log")
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
async def test_root_starts_it_even_where_namespaces_are_forbidden(prepared, monkeypatch):
    spawn = prepared / "spawn.py"
    text = Path(process.__file__).with_name("spawn.py").read_text()
    spawn.write_text(text.replace("0x10000000", "0x7fffffff"))  # a namespace nobody knows
    monkeypatch.setattr(process, "_SPAWN", spawn)
    server = describe(prepared)
    await server.start()
    assert (prepared / "postgres").owner() == "nobody"
    await note(server, "written by nobody")
    await server.stop()

    monkeypatch.undo()
    await server.start()
    assert (prepared / "postgres").owner() == "root"
    assert await note(server, "written by root") == ["written by nobody", "written by root"]
    await server.stop()


async def test_a_half_made_data_folder_is_made_again(folder):
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new/leftover").write_text("x")
    server = describe(folder)
    await server.start()
    await server.stop()
    assert not (folder / "postgres.new").exists()


async def test_data_of_another_version_is_refused(folder):
    (folder / "postgres").mkdir()
    (folder / "postgres/PG_VERSION").write_text("9\n")
    with pytest.raises(StartFailed, match="made by Postgres 9"):
        await describe(folder).start()


async def test_a_failed_start_shows_the_end_of_the_log(prepared):
    server = describe(prepared)
    server.settings["shared_buffers"] = "nonsense"
    with pytest.raises(StartFailed, match="invalid value for parameter"):
        await server.start()
    assert server.pid is None


async def test_a_variable_that_names_no_program_is_refused(folder, monkeypatch):
    monkeypatch.setenv("WALLET_POSTGRES_BIN", str(folder))
    with pytest.raises(ProgramNotFound, match="WALLET_POSTGRES_BIN"):
        await describe(folder).start()
