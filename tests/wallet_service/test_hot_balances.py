"""Hot balances: the newest version is shown, what is missing is COLD, what failed is remembered."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from tests.ports import free_ports
from tests.waiting import PATIENCE_S, until
from wallet_service.embedded.errors import ProgramNotFound
from wallet_service.embedded.process import Process, poll_until
from wallet_service.embedded.programs import find_redis
from wallet_service.embedded.redis import Redis
from wallet_service.hot_balances import Entry, HotBalances, HotBalancesUnavailable
from wallet_service.hot_connection import HotConnection, parse_url

OURS = UUID(int=1)
OTHERS = UUID(int=2)
ACME = UUID(int=10)
BOLT = UUID(int=11)


class DebianRedis(Redis):
    """The real Redis, where the system has one."""

    name = "redis-7"

    def command(self) -> Sequence[str]:
        program = shutil.which("redis-server")
        assert program is not None
        return (program, str(self.folder / "valkey.conf"))


@pytest.fixture(scope="module", params=["valkey", "redis-7"])
async def server(request, server_folder: Path) -> AsyncIterator[Redis]:
    """A server that the tests of this file may stop and restart."""
    if request.param == "redis-7" and not shutil.which("redis-server"):
        pytest.skip("no redis-server on PATH")
    folder = server_folder / f"hot-{request.param}"
    folder.mkdir()
    kind = Redis if request.param == "valkey" else DebianRedis
    server = kind(folder / "data", socket_folder=folder, log_path=folder / "log")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def hot(server: Redis) -> AsyncIterator[HotBalances]:
    """An empty store of hot balances."""
    await server.flush()
    # What is tested here is not how fast a busy machine answers ten thousand calls.
    hot = await HotBalances.open(server.url(), engine="memory", timeout_s=PATIENCE_S)
    await until(lambda: hot.is_up)
    yield hot
    await hot.close()


@contextlib.asynccontextmanager
async def raw(server: Redis) -> AsyncIterator[HotConnection]:
    """A way around the store, to see what is there and to do harm."""
    connection = patient_connection(server.url())
    await connection.start()
    yield connection
    await connection.close()


def patient_connection(url: str) -> HotConnection:
    return HotConnection(parse_url(url), timeout_s=PATIENCE_S, connect_timeout_s=PATIENCE_S)


def acme(version: int, body: bytes = b"") -> Entry:
    return Entry(OURS, ACME, version, body or b"as of %d" % version)


async def test_what_was_put_is_shown_and_what_was_not_is_cold(hot):
    assert await hot.put([acme(1, b"10 USD")]) == 1
    assert await hot.get(OURS, ACME) == b"10 USD"
    assert await hot.get(OURS, BOLT) is None
    assert await hot.get(OTHERS, ACME) is None


async def test_newer_wins_older_and_equal_are_ignored(hot):
    assert await hot.put([acme(5, b"five")]) == 1
    assert await hot.put([acme(4, b"four")]) == 0
    assert await hot.put([acme(5, b"another five")]) == 0
    assert await hot.get(OURS, ACME) == b"five"
    assert await hot.put([acme(6, b"six")]) == 1
    assert await hot.get(OURS, ACME) == b"six"


@pytest.mark.parametrize("middle", [10, 2**53, 2**63 - 1, 2**64 - 2, 10**19, 10**15])
async def test_versions_and_bodies_are_exact_where_doubles_are_not(hot, middle):
    for version in (middle, middle - 1, middle + 1, middle):
        await hot.put([acme(version)])
    assert await hot.get(OURS, ACME) == b"as of %d" % (middle + 1)


async def test_bodies_are_any_bytes(hot):
    body = bytes(range(256)) + b"\r\n$-1\r\n" + "\N{SNOWMAN}".encode()
    await hot.put([acme(1, body)])
    assert await hot.get(OURS, ACME) == body


async def test_a_batch_keeps_the_newest_of_each_customer_in_any_order(hot):
    batch = [acme(2), Entry(OURS, BOLT, 9, b"bolt"), acme(7), acme(3), Entry(OTHERS, ACME, 1, b"o")]
    assert await hot.put(batch) == 4  # 2, 9, 7 and 1; 3 came after 7
    customers = [(OTHERS, ACME), (OURS, UUID(int=99)), (OURS, ACME), (OURS, BOLT)]
    assert await hot.get_many(customers) == [b"o", None, b"as of 7", b"bolt"]


async def test_batches_beyond_one_call_are_put_and_read_whole(hot):
    customers = [(OURS, UUID(int=1000 + number)) for number in range(1_300)]
    entries = [Entry(*customer, 1, b"%d" % place) for place, customer in enumerate(customers)]
    assert await hot.put(entries) == 1_300
    assert await hot.put([]) == 0
    assert await hot.get_many([]) == []
    assert await hot.get_many(customers) == [b"%d" % place for place in range(1_300)]


async def test_ten_thousand_readers_at_once_each_see_their_own_customer(hot):
    customers = [(OURS, UUID(int=number)) for number in range(500)]
    await hot.put([Entry(*customer, 1, b"%d" % customer[1].int) for customer in customers])
    wanted = [customers[number % 500] for number in range(10_000)]
    shown = await asyncio.gather(*(hot.get(*customer) for customer in wanted))
    assert shown == [b"%d" % customer[1].int for customer in wanted]


async def test_two_ledgers_never_show_each_others_balances(hot, server):
    await hot.put([acme(1)])
    other = await HotBalances.open(server.url(), engine="tigerbeetle", timeout_s=PATIENCE_S)
    await until(lambda: other.is_up)
    assert await other.get(OURS, ACME) is None
    await other.close()


async def test_forgotten_and_flushed_are_cold_and_can_be_put_again(hot, server):
    await hot.put([acme(9)])
    await hot.forget(OURS, ACME)
    assert await hot.get(OURS, ACME) is None
    assert await hot.put([acme(3)]) == 1
    await server.flush()
    assert await hot.get(OURS, ACME) is None
    assert await hot.put([acme(2)]) == 1


async def test_balances_live_under_the_customers_hash_tag_for_as_long_as_told(server):
    await server.flush()
    hot = await HotBalances.open(server.url(), engine="memory", ttl_s=10_000, timeout_s=PATIENCE_S)
    await until(lambda: hot.is_up)
    await hot.put([acme(1)])
    async with raw(server) as connection:
        key = f"hot:memory:{{{OURS}:{ACME}}}"
        assert await connection.call("GET", key) == b"00000000000000000001as of 1"
        assert 9_000 < await connection.call("TTL", key) <= 10_000
    await hot.close()


@pytest.mark.parametrize("ttl_s", [0, -1, 10**9])
async def test_a_life_that_cannot_be_is_refused(ttl_s):
    with pytest.raises(ValueError, match="ttl_s"):
        await HotBalances.open("redis://", engine="memory", ttl_s=ttl_s)


async def test_the_function_checks_all_arguments_before_it_writes(hot, server):
    good = ("00000000000000000007", "body")
    wrong_calls = [
        (0, "100"),
        (0,),
        (1, "one", "100"),
        (1, "one", "100", good[0]),
        (2, "one", "two", "100", *good),
        (2, "one", "two", "100", *good, "7", "body"),
        (2, "one", "two", "100", *good, "0000000000000000000x", "body"),
        (2, "one", "two", "100", *good, "-0000000000000000007", "body"),
        (2, "one", "two", "100", *good, good[0], ""),
        *((1, "one", ttl, *good) for ttl in ("0", "-1", "1.5", "1e3", "0x10", " 5", "", "9" * 10)),
    ]
    async with raw(server) as connection:
        for words in wrong_calls:
            with pytest.raises(Exception, match="hot_balances_put"):
                await connection.call("FCALL", "hot_balances_put", *words)
        assert await connection.call("DBSIZE") == 0


async def test_what_is_not_ours_in_a_customers_place_is_cold_and_repaired(hot, server):
    key = f"hot:memory:{{{OURS}:{ACME}}}"
    async with raw(server) as connection:
        for harm in (
            ("SET", key, "zzz" * 20),
            ("SET", key, "00000000000000000009"),
            ("SET", key, ""),
            ("HSET", key, "v", "9"),
        ):
            await connection.call("DEL", key)
            await connection.call(*harm)
            if harm[0] == "SET":
                assert await hot.get(OURS, ACME) is None
            await hot.put([acme(10**6)])
            assert await hot.get(OURS, ACME) == b"as of 1000000"


async def test_a_lost_library_is_loaded_again(hot, server):
    async with raw(server) as connection:
        await connection.call("FUNCTION", "FLUSH")
    assert sum(await asyncio.gather(*(hot.put([acme(number)]) for number in range(1, 9)))) == 8
    assert await hot.get(OURS, ACME) == b"as of 8"


async def test_a_full_memory_refuses_and_the_service_is_reminded(hot, server, monkeypatch):
    monkeypatch.setattr(hot, "_reminder_s", 0.05)
    async with raw(server) as connection:
        await connection.call("CONFIG", "SET", "maxmemory", 1)
        try:
            with pytest.raises(HotBalancesUnavailable, match="OOM"):
                await hot.put([acme(1)])
        finally:
            await connection.call("CONFIG", "SET", "maxmemory", 0)
    assert hot.is_up
    await asyncio.wait_for(hot.reconnected.wait(), PATIENCE_S)
    assert hot.take_dirty() == ([(OURS, ACME)], False)


async def test_a_restart_is_survived_with_nothing_but_cold_customers(hot, server):
    await hot.put([acme(1)])
    await server.stop()
    await until(lambda: not hot.is_up)
    started = time.monotonic()
    with pytest.raises(HotBalancesUnavailable):
        await hot.put([acme(2)])
    with pytest.raises(HotBalancesUnavailable):
        await hot.get(OURS, ACME)
    with pytest.raises(HotBalancesUnavailable):
        await hot.get_many([(OURS, ACME)])
    assert time.monotonic() - started < PATIENCE_S / 2  # none of them waited for a reply
    await server.start()
    await asyncio.wait_for(hot.reconnected.wait(), PATIENCE_S)
    assert hot.is_up
    assert await hot.get(OURS, ACME) is None
    assert hot.take_dirty() == ([(OURS, ACME)], False)
    assert hot.take_dirty() == ([], False)
    assert await hot.put([acme(2)]) == 1


async def test_opening_succeeds_while_redis_is_down_and_connects_later(server):
    await server.stop()
    hot = await HotBalances.open(server.url(), engine="memory", timeout_s=PATIENCE_S)
    assert not hot.is_up
    await server.start()
    await asyncio.wait_for(hot.reconnected.wait(), PATIENCE_S)
    assert await hot.put([acme(1)]) == 1
    await hot.close()


async def test_a_server_that_stands_still_makes_customers_dirty_and_mixes_no_replies(server):
    await server.flush()
    hot = await HotBalances.open(server.url(), engine="memory", timeout_s=0.1)
    customers = [(OURS, UUID(int=number)) for number in range(1, 101)]
    patient = await HotBalances.open(server.url(), engine="memory", timeout_s=PATIENCE_S)
    await until(lambda: patient.is_up)
    await patient.put([Entry(*customer, 1, b"%d" % customer[1].int) for customer in customers])
    await patient.close()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        results = await asyncio.gather(
            hot.put([acme(5)]),
            *(hot.get(*customer) for customer in customers),
            return_exceptions=True,
        )
        assert {type(result) for result in results} == {HotBalancesUnavailable}
        with pytest.raises(HotBalancesUnavailable):
            await hot.put([Entry(OURS, BOLT, 5, b"at once")])
        await asyncio.sleep(1)
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.wait_for(hot.reconnected.wait(), PATIENCE_S)
    dirty, everything = hot.take_dirty()
    assert (set(dirty), everything) == ({(OURS, ACME), (OURS, BOLT)}, False)
    others = [customer for customer in customers if customer[1] not in {ACME, BOLT}]
    rounds = 0
    async with asyncio.timeout(PATIENCE_S):
        while rounds < 5:
            shown = await asyncio.gather(
                *(hot.get(*customer) for customer in others), return_exceptions=True
            )
            # A busy machine may take longer than this store waits, but never mixes them up.
            missing = [isinstance(one, HotBalancesUnavailable) for one in shown]
            assert all(
                is_missing or body == b"%d" % customer[1].int
                for is_missing, body, customer in zip(missing, shown, others, strict=True)
            )
            rounds += not any(missing)
            await asyncio.sleep(0)
    await hot.close()


async def test_dirty_customers_beyond_the_limit_mean_everybody(tmp_path):
    hot = await HotBalances.open(f"unix://{tmp_path}/nobody", engine="memory", dirty_max=3)
    for number in range(3):
        with pytest.raises(HotBalancesUnavailable):
            await hot.put([Entry(OURS, UUID(int=number), 1, b"b")])
    assert hot.has_dirty
    customers, everything = hot.take_dirty()
    assert (len(customers), everything) == (3, False)
    with pytest.raises(HotBalancesUnavailable):
        await hot.put([Entry(OURS, UUID(int=number), 1, b"b") for number in range(4)])
    assert hot.take_dirty() == ([], True)
    assert not hot.has_dirty
    await hot.close()


async def test_a_cancelled_put_is_dirty_since_nobody_knows_its_end(hot):
    put = asyncio.create_task(hot.put([acme(1)]))
    await asyncio.sleep(0)
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert hot.take_dirty() == ([(OURS, ACME)], False)
    assert await hot.put([acme(2)]) == 1


class ClusterNode(Process):
    """One node of a Redis Cluster, on loopback."""

    name = "cluster node"

    def __init__(self, folder: Path, port: int, bus_port: int) -> None:
        super().__init__(log_path=folder / "log", folder=folder)
        self.port = port
        self.bus_port = bus_port

    def command(self) -> Sequence[str]:
        options = {
            "bind": "127.0.0.1",
            "port": self.port,
            "cluster-port": self.bus_port,
            "cluster-enabled": "yes",
            "cluster-config-file": str(self.folder / "nodes.conf"),
            "cluster-node-timeout": 30_000,  # none is lost by a machine that stood still
            "cluster-require-full-coverage": "no",
            "dir": str(self.folder),
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return (str(find_redis()), *words)

    async def wait_ready(self) -> None:
        async def answers() -> bool:
            return connection.is_up

        async with self.connected() as connection:
            await poll_until(answers)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[HotConnection]:
        connection = patient_connection(f"redis://127.0.0.1:{self.port}")
        await connection.start()
        yield connection
        await connection.close()


async def knows_all(door: HotConnection) -> bool:
    shown = await door.call("CLUSTER", "INFO")
    return b"cluster_slots_ok:16384" in shown and b"cluster_state:ok" in shown


@pytest.fixture(scope="module")
async def cluster(server_folder: Path) -> AsyncIterator[list[ClusterNode]]:
    """Three masters that share all slots."""
    try:
        find_redis()
    except ProgramNotFound:
        pytest.skip("no valkey-server or redis-server")
    ports = free_ports(6)
    nodes = []
    for place in range(3):
        folder = server_folder / f"node-{place}"
        folder.mkdir()
        nodes.append(ClusterNode(folder, ports[place], ports[3 + place]))
    async with contextlib.AsyncExitStack() as stack:
        for node in nodes:
            stack.push_async_callback(node.stop)
            await node.start()
        doors = [await stack.enter_async_context(node.connected()) for node in nodes]
        bounds = [0, 5461, 10923, 16384]
        for place, door in enumerate(doors):
            await door.call("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            await door.call("CLUSTER", "ADDSLOTSRANGE", bounds[place], bounds[place + 1] - 1)
        for node in nodes[1:]:
            await doors[0].call("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        async with asyncio.timeout(PATIENCE_S):
            for door in doors:
                await poll_until(lambda door=door: knows_all(door))
        yield nodes


async def test_a_cluster_shows_the_same_with_one_node_lost_its_customers_only(cluster):
    hot = await HotBalances.open(
        f"redis+cluster://127.0.0.1:{cluster[0].port}", engine="memory", timeout_s=20
    )  # patient: 60 connections at once take a busy machine a while
    assert hot.is_up
    customers = [(OURS, UUID(int=number)) for number in range(60)]
    top = 2**64 - 1
    assert await hot.put([Entry(*one, top - 1, b"%d" % one[1].int) for one in customers]) == 60
    assert await hot.put([Entry(*customers[0], top - 2, b"old")]) == 0
    assert await hot.put([Entry(*customers[0], top, b"0")]) == 1
    expected = [b"%d" % number for number in range(60)]
    assert await hot.get_many(customers) == expected
    sizes = []
    for node in cluster:
        async with node.connected() as door:
            sizes.append(await door.call("DBSIZE"))
            await door.call("FUNCTION", "FLUSH")
    assert min(sizes) > 0
    await hot.forget(*customers[0])
    assert await hot.get(*customers[0]) is None
    assert await hot.put([Entry(*customers[0], 1, b"0")]) == 1

    await cluster[2].stop()
    shown = await asyncio.gather(*(hot.get(*one) for one in customers), return_exceptions=True)
    lost = [one for one, body in zip(customers, shown, strict=True) if not isinstance(body, bytes)]
    assert len(lost) == sizes[2]
    assert not hot.is_up
    with pytest.raises(HotBalancesUnavailable):
        await hot.put([Entry(*lost[0], top, b"new")])
    assert hot.take_dirty() == ([lost[0]], False)
    await hot.close()
