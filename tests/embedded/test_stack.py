"""Processes under supervision: started again, bounded in their logs, stopped in order."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S
from wallet_service.embedded.errors import StartFailed
from wallet_service.embedded.locks import is_running_in
from wallet_service.embedded.process import Process, poll_until
from wallet_service.embedded.sockets import socket_folder
from wallet_service.embedded.stack import Stack

_PROGRAM = """
import os, signal, subprocess, sys, time
mark = sys.argv[1]
if sys.argv[2] == "forks":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(os.path.dirname(mark) + "/forked.pid", "w").write(str(child.pid))
open(mark, "a").write(str(os.getpid()) + "\\n")
time.sleep(60)
"""


class Sleeper(Process):
    """A program that notes its pid and sleeps."""

    def __init__(self, folder: Path, name: str = "sleeper", how: str = "plainly", layer: int = 0):
        super().__init__(log_path=folder / f"{name}.log", folder=folder)
        self.name, self.how, self.layer = name, how, layer
        self.mark = folder / f"{name}.pids"

    def command(self):
        return (sys.executable, "-c", _PROGRAM, str(self.mark), self.how)

    async def wait_ready(self):
        async def is_there():
            return str(self.pid) in self.pids()

        await poll_until(is_there)

    def pids(self) -> list[str]:
        return self.mark.read_text().split() if self.mark.exists() else []


@pytest.fixture
async def reports():
    return []


@pytest.fixture
async def stack(reports):
    stack = Stack(report=reports.append)
    yield stack
    await stack.stop()


async def test_what_ends_is_started_again_and_reported(tmp_path, stack, reports):
    sleeper = Sleeper(tmp_path)
    await stack.start(sleeper)
    os.kill(sleeper.pid, signal.SIGKILL)
    await asyncio.wait_for(poll_until(lambda: _is(len(sleeper.pids()) == 2)), PATIENCE_S)
    await asyncio.wait_for(poll_until(lambda: _is(len(reports) == 2)), PATIENCE_S)
    assert reports == [
        "sleeper was ended by SIGKILL; starting it again",
        "sleeper runs again",
    ]


async def _is(truth: bool) -> bool:
    return truth


async def test_upper_layers_stop_before_the_servers_they_use(tmp_path, stack, monkeypatch):
    stopped = []
    stop = Process.stop

    async def stop_and_note(self):
        stopped.append(self.name)
        await stop(self)

    upper, lower = Sleeper(tmp_path, "upper", layer=1), Sleeper(tmp_path, "lower")
    await stack.start(upper, lower)
    monkeypatch.setattr(Process, "stop", stop_and_note)
    await stack.stop()
    assert stopped == ["upper", "lower"]


async def test_a_stopped_process_leaves_none_of_its_children(tmp_path, stack):
    sleeper = Sleeper(tmp_path, how="forks")
    await stack.start(sleeper)
    forked = int((tmp_path / "forked.pid").read_text())
    assert is_running_in(forked, Path.cwd())
    await stack.stop()
    await asyncio.wait_for(
        poll_until(lambda: _is(not is_running_in(forked, Path.cwd()))), PATIENCE_S
    )


async def test_a_program_that_ends_at_once_is_a_failed_start(tmp_path):
    sleeper = Sleeper(tmp_path)
    sleeper.command = lambda: (sys.executable, "-c", "print('no room'); raise SystemExit(3)")
    with pytest.raises(StartFailed, match=r"(?s)ended with code 3.*no room"):
        await sleeper.start()


async def test_a_program_that_is_never_ready_is_a_failed_start(tmp_path):
    sleeper = Sleeper(tmp_path)
    sleeper.ready_timeout_s = 0.3
    sleeper.waiting_for = lambda: "a better day"
    sleeper.command = lambda: (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(StartFailed, match=r"not ready after 0.3 s, waiting for a better day"):
        await sleeper.start()
    assert sleeper.pid is None


async def test_a_start_that_takes_long_says_what_it_waits_for(
    tmp_path, stack, reports, monkeypatch
):
    monkeypatch.setattr("wallet_service.embedded.stack._SLOW_S", 0.1)
    sleeper = Sleeper(tmp_path)
    sleeper.ready_timeout_s = PATIENCE_S
    sleeper.waiting_for = lambda: "a better day"
    sleeper.wait_ready = lambda: poll_until(lambda: _is(bool(reports)))
    await stack.start(sleeper)
    assert reports == ["sleeper takes longer than 0.1 s: waiting for a better day (up to 60 s)"]


def test_logs_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("wallet_service.embedded.process._LOG_BYTES_MAX", 100)
    sleeper = Sleeper(tmp_path)
    sleeper.log_path.write_text("x" * 101)
    sleeper.bound_logs()
    assert sleeper.log_path.stat().st_size == 0
    assert (tmp_path / "sleeper.1.log").stat().st_size == 101


def test_a_deep_folder_keeps_its_sockets_elsewhere_and_always_in_the_same_place(tmp_path):
    assert socket_folder(tmp_path / "a") == tmp_path / "a" or len(str(tmp_path)) > 78
    deep = tmp_path / ("d" * 100) / "run"
    chosen = socket_folder(deep)
    assert len(str(chosen)) < 80
    assert socket_folder(deep) == chosen
    chosen.rmdir()
    again = socket_folder(deep)
    assert again.is_dir()
    again.rmdir()
