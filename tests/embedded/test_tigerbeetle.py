"""A replica's port: kept from start to start, and found by other processes of the same folder."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wallet_service.embedded.errors import ProgramNotFound
from wallet_service.embedded.programs import find_tigerbeetle
from wallet_service.embedded.tigerbeetle import TigerBeetle

_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from wallet_service.embedded.tigerbeetle import TigerBeetle
print(TigerBeetle(Path(sys.argv[1]), log_path=Path(sys.argv[1]) / "log").addresses)
"""


def replica(folder: Path) -> TigerBeetle:
    return TigerBeetle(folder, log_path=folder / "log")


def written(folder: Path, port: int) -> None:
    (folder / "port").write_text(f"{port}\n")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_port_of_the_last_start_is_taken_again(tmp_path, free_port):
    written(tmp_path, free_port)
    starting = replica(tmp_path)
    starting.claim_port()
    assert starting.addresses == f"127.0.0.1:{free_port}"


def test_a_port_that_somebody_took_meanwhile_is_left_to_them(tmp_path):
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        written(tmp_path, taken)
        starting = replica(tmp_path)
        starting.claim_port()
        assert starting.addresses != f"127.0.0.1:{taken}"
        assert replica(tmp_path).addresses == f"127.0.0.1:{taken}", "who only asks, finds it"


@pytest.mark.parametrize("text", ["", "soon\n"])
def test_a_port_file_that_says_nothing_is_like_none(tmp_path, text):
    (tmp_path / "port").write_text(text)
    starting = replica(tmp_path)
    starting.claim_port()
    assert int(starting.addresses.rpartition(":")[2]) > 0


def test_whoever_asks_twice_gets_one_answer(tmp_path):
    asking = replica(tmp_path)
    assert asking.addresses == asking.addresses


async def test_another_process_finds_the_port_of_the_running_replica(tmp_path):
    try:
        find_tigerbeetle()
    except ProgramNotFound:
        pytest.skip("no tigerbeetle on PATH or in WALLET_TIGERBEETLE_BIN")
    running = replica(tmp_path)
    await running.start()
    try:
        another = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _ANOTHER_PROCESS, str(tmp_path)), stdout=subprocess.PIPE
        )
        found, _ = await another.communicate()
        assert found.decode().strip() == running.addresses
    finally:
        await running.stop()
