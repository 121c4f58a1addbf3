"""One worker leads; who loses the lead stops at once, and writes nothing more in its name."""

import asyncio
from types import SimpleNamespace

import asyncpg
import pytest

from tests.waiting import PATIENCE_S, until, until_waiting
from wallet_service.jobs import leader
from wallet_service.jobs.leader import Deposed, Term, lead
from wallet_service.jobs.operations import forget_operations
from wallet_service.jobs.schedule import Job, jobs, run_once
from wallet_service.worker import run_worker


@pytest.fixture(autouse=True)
def is_slow(monkeypatch):
    """A machine that stands still for some seconds makes no leader step down."""
    monkeypatch.setattr(leader, "_ANSWER_MAX_S", PATIENCE_S)
    monkeypatch.setattr(leader, "_SILENCE_MAX_S", int(PATIENCE_S))


@pytest.fixture
def services(database, database_dsn):
    settings = SimpleNamespace(database_url=database_dsn, connect_timeout_s=PATIENCE_S)
    return SimpleNamespace(database=database, settings=settings)


async def kill_leaders(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'wallet-leader' and datname = current_database()"
    )
    await connection.close()


async def sign_of_life(dsn: str) -> None:
    """Return when the leader has asked whether it still leads, and has heard."""
    connection = await asyncpg.connect(dsn)
    asked = (
        "select query_start from pg_stat_activity where application_name = 'wallet-leader'"
        " and datname = current_database() and state = 'idle'"
    )
    before = await connection.fetchval("select clock_timestamp()")
    async with asyncio.timeout(PATIENCE_S):
        while (begun := await connection.fetchval(asked)) is None or begun <= before:
            await asyncio.sleep(0.01)
    await connection.close()


class Candidate:
    """A worker with one job, which counts its runs by term."""

    def __init__(self, services) -> None:
        self.terms: list[int] = []
        self.is_running = False
        self.stop = asyncio.Event()
        self._services = services
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        await run_worker(self._services, stop=self.stop, table=[Job("count", 0.05, self._count)])

    async def _count(self, _services, term: Term) -> int:
        self.terms.append(term.number)
        return 1

    async def end(self) -> None:
        self.stop.set()
        await self.task


async def test_of_several_workers_one_works_and_another_takes_over(services):
    first = Candidate(services)
    await until(lambda: bool(first.terms))
    second = Candidate(services)
    await asyncio.sleep(0.3)
    assert not second.terms
    await first.end()
    await until(lambda: bool(second.terms))
    assert set(first.terms) == {1}
    assert set(second.terms) == {2}
    await second.end()


async def test_a_leader_that_lost_its_connection_stops_and_stands_again(services, database_dsn):
    worker = Candidate(services)
    await until(lambda: bool(worker.terms))
    await kill_leaders(database_dsn)
    await until(lambda: 2 in worker.terms)
    assert worker.terms == sorted(worker.terms)
    await worker.end()


async def test_a_run_under_way_is_left_when_the_lead_is_lost(services, database_dsn):
    begun, left = asyncio.Event(), asyncio.Event()

    async def endless(_services, _term) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return 0

    stop = asyncio.Event()
    table = [Job("endless", 60, endless)]
    task = asyncio.create_task(run_worker(services, stop=stop, table=table))
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        await kill_leaders(database_dsn)
        await left.wait()
    stop.set()
    task.cancel()
    await asyncio.wait([task])


async def test_a_run_under_way_is_finished_when_the_worker_stops(services):
    begun, finished = asyncio.Event(), asyncio.Event()

    async def slow(_services, _term) -> int:
        begun.set()
        await asyncio.sleep(0.3)
        finished.set()
        return 1

    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(services, stop=stop, table=[Job("slow", 60, slow)]))
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        stop.set()
        await task
    assert finished.is_set()


async def test_who_was_deposed_without_noticing_writes_nothing(services, database):
    zombie = Term(1)
    async with lead(services.settings.database_url, connect_timeout_s=PATIENCE_S) as term:
        assert term.number == 1
        await forget_operations(services, zombie)
    async with lead(services.settings.database_url, connect_timeout_s=PATIENCE_S) as term:
        assert term.number == 2
        with pytest.raises(Deposed):
            await forget_operations(services, zombie)
        async with database.worker.acquire() as connection, connection.transaction():
            await term.guard(connection)
    assert zombie.is_over.is_set()


async def test_nobody_is_elected_before_the_guarded_work_of_the_past_has_ended(
    services, database, monkeypatch
):
    monkeypatch.setattr(leader, "_HEARTBEAT_S", 0.05)
    async with database.worker.acquire() as connection:
        async with lead(services.settings.database_url, connect_timeout_s=PATIENCE_S) as term:
            transaction = connection.transaction()
            await transaction.start()
            await term.guard(connection)
            for _ in range(2):  # the first may have begun before
                await sign_of_life(services.settings.database_url)
            assert not term.is_over.is_set(), "signs of life wait for nobody"

        async def elect() -> int:
            async with lead(
                services.settings.database_url, connect_timeout_s=PATIENCE_S
            ) as next_term:
                return next_term.number

        election = asyncio.create_task(elect())
        await until_waiting(database.worker)
        assert not election.done()
        await transaction.rollback()
        assert await election == 2


async def test_what_one_job_raises_stops_no_other(services):
    async def broken(_services, _term) -> int:
        raise RuntimeError("this job is broken")

    worker = Candidate(services)
    await run_once(Job("broken", 1, broken), services, Term(1))
    await until(lambda: len(worker.terms) > 2)
    await worker.end()


def test_every_job_has_a_name_of_its_own_and_a_sensible_interval():
    table = jobs()
    assert len({job.name for job in table}) == len(table)
    assert all(0.5 <= job.every_s <= 3600 for job in table)
