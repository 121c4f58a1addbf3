"""`wallet up` as an operator meets it: up, killed, up again, stopped, and always the same key."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.ports import free_ports

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WALLET = (sys.executable, "-m", "wallet_service.cli")
READY_S_MAX = 120  # of a busy machine; a quiet one needs two seconds
STOP_S_MAX = 60


@pytest.fixture(scope="module")
def folder():
    """A data folder in a short place."""
    path = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    yield path / "data"
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def port():
    """A port that nobody uses."""
    (port,) = free_ports(1)
    return port


def environment() -> dict[str, str]:
    """The environment of a plain shell."""
    return {name: text for name, text in os.environ.items() if not name.startswith("WALLET_")}


@contextlib.contextmanager
def running(folder: Path, port: int, **variables: str):
    """Run `wallet up` until it is ready; afterwards it is gone, if need be by force."""
    command = (*WALLET, "up", "--data", str(folder), "--port", str(port))
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment() | variables,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("ready "), process.stderr.read()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S_MAX)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def credentials(folder: Path) -> dict[str, str]:
    return json.loads((folder / "credentials.json").read_text())


def ask(folder: Path, path: str) -> httpx.Response:
    """Ask the service with the key of its folder."""
    known = credentials(folder)
    headers = {"Authorization": f"Bearer {known['api_key']}"}
    return httpx.get(known["url"] + path, headers=headers, timeout=60)


def children(pid: int) -> list[int]:
    """Return all descendants of a process."""
    return [
        found for child in _direct_children(pid) for found in (int(child), *children(int(child)))
    ]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*WALLET, *arguments),
        capture_output=True,
        text=True,
        timeout=READY_S_MAX,
        env=environment(),
        check=False,
    )


def test_the_first_start_leaves_credentials_that_work_and_that_nobody_else_can_read(folder, port):
    with running(folder, port):
        known = credentials(folder)
        assert known["url"] == f"http://127.0.0.1:{port}"
        assert (folder / "credentials.json").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o077 == 0
        answer = ask(folder, "/api/v1/customers")
        assert answer.status_code == 200, answer.text


def test_a_second_start_keeps_the_key_and_a_third_beside_it_is_refused(folder, port):
    before = credentials(folder)
    with running(folder, port) as first:
        assert credentials(folder) == before
        second = run("up", "--data", str(folder), "--port", str(port))
        assert second.returncode != 0
        assert f"already running on {folder} (process {first.pid})" in second.stderr
        elsewhere = run("up", "--data", str(folder.with_name("other")), "--port", str(port))
        assert elsewhere.returncode != 0
        assert f"cannot listen on 127.0.0.1:{port}" in elsewhere.stderr


def test_keys_are_made_listed_and_revoked_while_it_runs(folder, port):
    with running(folder, port):
        made = run("keys", "create", "--data", str(folder), "--name", "till").stdout.strip()
        listed = run("keys", "list", "--data", str(folder)).stdout.splitlines()
        key_id = next(line.split()[0] for line in listed if line.endswith("till"))
        url = credentials(folder)["url"] + "/api/v1/customers"
        headers = {"Authorization": f"Bearer {made}"}
        assert httpx.get(url, headers=headers, timeout=60).status_code == 200
        assert "revoked" in run("keys", "revoke", "--data", str(folder), key_id).stdout


def test_a_lost_key_is_replaced(folder, port):
    lost = credentials(folder)
    (folder / "credentials.json").unlink()
    with running(folder, port):
        found = credentials(folder)
        assert found["organization_id"] == lost["organization_id"]
        assert found["api_key"] != lost["api_key"]
        assert ask(folder, "/api/v1/customers").status_code == 200


@pytest.mark.parametrize("victims", ["the supervisor", "all of it"])
def test_after_kill_9_the_next_start_goes_on(folder, port, victims):
    before = credentials(folder)
    with running(folder, port) as process:
        names = _names_of_children(api_of(process), until=lambda names: "worker" in names.values())
        worker = next(int(pid) for pid, name in names.items() if name == "worker")
        os.kill(worker, signal.SIGSTOP)  # one that hangs keeps nothing that the next start needs
        for pid in [process.pid, *(children(process.pid) if victims == "all of it" else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    with running(folder, port):
        assert credentials(folder) == before
        assert ask(folder, "/api/v1/customers").status_code == 200


def test_whatever_is_killed_comes_back(folder, port):
    with running(folder, port) as process:
        direct = [int(pid) for pid in _direct_children(process.pid)]
        assert len(direct) == 3, "postgres, valkey, api; nobody who prepared the database"
        for pid in direct:
            os.kill(pid, signal.SIGKILL)
        give_up = time.monotonic() + READY_S_MAX
        while time.monotonic() < give_up:
            with contextlib.suppress(httpx.HTTPError):
                fresh = set(_direct_children(process.pid)) - {str(pid) for pid in direct}
                if len(fresh) == 3 and ask(folder, "/api/v1/customers").status_code == 200:
                    figures = (folder / "run/metrics").glob("gauge_live*.db")
                    of = {int(path.stem.rpartition("_")[2]) for path in figures}
                    assert of <= set(children(process.pid)), "who is dead leads no more"
                    return
            time.sleep(0.2)
        pytest.fail("not back in time")


def test_a_killed_worker_is_replaced_while_the_others_go_on(folder, port):
    with running(folder, port) as process:
        parent = api_of(process)
        before = _names_of_children(
            parent, until=lambda names: len(names) == 3 and "worker" in names.values()
        )
        killed = {
            next(pid for pid in before if (before[pid] == "worker") == is_it) for is_it in (0, 1)
        }
        for pid in killed:
            os.kill(int(pid), signal.SIGKILL)
        assert ask(folder, "/ready").status_code == 200
        now = _names_of_children(
            parent,
            until=lambda names: (
                not killed & set(names) and sorted(names.values()) == sorted(before.values())
            ),
        )
        assert ask(folder, "/ready").status_code == 200
        assert len(now) == 3


def test_a_worker_that_cannot_start_is_told_of_and_the_api_goes_on(folder, port):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        with running(folder, port, WALLET_WORKER_METRICS_PORT=number) as process:
            for _ in range(2):
                line = process.stderr.readline()
                assert line == "worker ended with code 1; starting it again\n"
            assert ask(folder, "/ready").status_code == 200


def api_of(process: subprocess.Popen[str]) -> int:
    """The parent of the API's processes and of the worker."""
    return next(int(pid) for pid in _direct_children(process.pid) if "uvicorn" in _line(pid))


def _names_of_children(pid: int, *, until: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """What those that one process has forked call themselves, once they are as they should be."""
    give_up = time.monotonic() + READY_S_MAX
    while time.monotonic() < give_up:
        names = {child: _name(child) for child in _direct_children(pid)}
        if until(names):
            return names
        time.sleep(0.1)
    pytest.fail("not in time")


def _line(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def _name(pid: str) -> str:
    with contextlib.suppress(OSError):  # it has ended by now
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _direct_children(pid: int) -> list[str]:
    with contextlib.suppress(OSError):  # it has ended by now
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []


def _runs(pid: int) -> bool:
    """Whether it has not ended; a zombie has, and nobody has asked how."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    return False


def test_nothing_is_left_running_or_listening_after_a_stop(folder, port):
    with running(folder, port) as process:
        everything = children(process.pid)
    give_up = time.monotonic() + READY_S_MAX
    while left := [pid for pid in everything if _runs(pid)]:
        assert time.monotonic() < give_up, left
        time.sleep(0.1)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not (folder / "postgres/postmaster.pid").exists()
