"""The one table of jobs. APScheduler runs them on the leader, no job twice at a time.

A job is a function of the services and of the term it runs in; it says how much it has dealt with.
What one job raises is logged, and its next run tries again; it stops no other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import structlog
from apscheduler.executors.asyncio import (  # pyright: ignore[reportMissingTypeStubs]
    AsyncIOExecutor,
)
from apscheduler.jobstores.memory import (  # pyright: ignore[reportMissingTypeStubs]
    MemoryJobStore,
)
from apscheduler.schedulers.asyncio import (  # pyright: ignore[reportMissingTypeStubs]
    AsyncIOScheduler,
)
from apscheduler.triggers.interval import (  # pyright: ignore[reportMissingTypeStubs]
    IntervalTrigger,
)
from msgspec import Struct

from wallet_service.jobs import (
    billing,
    budgets,
    catalogue,
    coupons,
    events,
    grants,
    health,
    holds,
    ledger,
    measures,
    operations,
    partitions,
    payments,
    revenue,
    subscription_alerts,
    subscriptions,
    usage,
)
from wallet_service.jobs.book import BookComparer
from wallet_service.jobs.leader import Deposed, Term
from wallet_service.jobs.reconciliation import Reconciler
from wallet_service.services import Services

__all__ = ["Job", "Schedule", "jobs", "run_once"]

log: Final = structlog.get_logger("wallet_service.worker")

Work: TypeAlias = Callable[[Services, Term], Awaitable[int]]
"""What a job does; it says how much of it."""

_APART: Final = timedelta(milliseconds=75)
_DRAIN_S: Final = 10.0
_NO_GRACE: Final = None
"""A run that comes late is still to be made."""


class Job(Struct, frozen=True):
    """One row of the table."""

    name: str
    every_s: float
    work: Work


def jobs() -> list[Job]:
    """The table, for one term: what goes round remembers where it is."""
    book = ledger.BookKeeper()
    return [
        Job("expire_holds", 1, holds.expire_holds),
        Job("reconcile_hot_balances", 2, Reconciler().run),
        Job("sweep_intents", 2, ledger.sweep),
        Job("fold_house_accounts", 2, book.fold),
        Job("fold_usage", 2, usage.Folder().run),
        Job("compare_book", 2, BookComparer().run),
        Job("redrive_unrated_events", 2, events.Redriver().run),
        Job("measure_delays", 5, health.measure_delays),
        Job("move_subscriptions", 5, subscriptions.move_due),
        Job("expire_grants", 5, grants.expire_grants),
        Job("end_coupons", 60, coupons.end_due),
        Job("terminate_wallets", 5, grants.terminate_wallets),
        Job("close_grants", 5, grants.GrantCloser().run),
        Job("recognise_revenue", 10, revenue.Recogniser().run),
        Job("finish_payments", 5, payments.finish_payments),
        Job("finish_credit_notes", 5, payments.finish_credit_notes),
        Job("release_expired_transfers", 10, book.release_expired),
        Job("bill_due", 10, billing.bill_due),
        Job("bill_late_usage", 3600, billing.bill_late_usage),
        Job("bill_in_advance", 2, billing.bill_in_advance),
        Job("regroup_paid_fees", 60, billing.regroup_paid_fees),
        Job("bill_thresholds", 30, billing.bill_thresholds),
        Job("bill_purchases", 5, billing.PurchaseBiller().run),
        Job("finish_invoices", 5, billing.finish_invoices),
        Job("retry_failed_invoices", 15, billing.retry_failed),
        Job("finalize_drafts", 60, billing.finalize_drafts),
        Job("void_given_up", 10, billing.void_given_up),
        Job("mark_invoices_overdue", 300, billing.mark_overdue),
        Job("tell_alerts", 60, subscription_alerts.tell_alerts),
        Job("measure_balance", 60, health.BalanceMeasurer().run),
        Job("forget_operations", 600, operations.forget_operations),
        Job("forget_budget_windows", 600, budgets.forget_windows),
        Job("forget_catalogue_changes", 600, catalogue.forget_changes),
        Job("make_room_for_events", 3600, partitions.make_room),
    ]


class Schedule:
    """The jobs of one term, running from `start` to `stop`."""

    def __init__(self, services: Services, term: Term, table: list[Job] | None = None) -> None:
        self._services = services
        self._term = term
        self._running: set[asyncio.Task[None]] = set()
        self._scheduler: Any = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": AsyncIOExecutor()},
            job_defaults={
                "max_instances": 1,
                "coalesce": True,
                "misfire_grace_time": _NO_GRACE,
            },
            timezone=UTC,
        )
        # One after the other, in every round: jobs that run at the same time need as many
        # connections, and Postgres keeps what is planned on each.
        begin = datetime.now(UTC)
        for position, job in enumerate(jobs() if table is None else table):
            first = begin + position * _APART
            self._scheduler.add_job(
                self._run,
                IntervalTrigger(seconds=job.every_s),  # pyright: ignore[reportArgumentType]
                args=(job,),
                id=job.name,
                name=job.name,
                next_run_time=first,
            )

    def start(self) -> None:
        """Begin to run jobs."""
        self._scheduler.start()

    async def stop(self, *, drain: bool) -> None:
        """Start no further run. Those under way are finished, or left where the lead was lost."""
        self._scheduler.pause()
        running = set(self._running)
        if running and drain:
            _, running = await asyncio.wait(running, timeout=_DRAIN_S)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_DRAIN_S)
        self._scheduler.shutdown(wait=False)

    async def _run(self, job: Job) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await run_once(job, self._services, self._term)
        finally:
            self._running.discard(task)


async def run_once(job: Job, services: Services, term: Term) -> None:
    """One run of a job, counted and timed; only being cancelled comes out of it."""
    began = asyncio.get_running_loop().time()
    outcome = "failed"
    try:
        term.check()
        done = await job.work(services, term)
        outcome = "done"
        if done:
            measures.JOB_WORK.labels(job.name).inc(done)
    except Deposed:
        outcome = "deposed"
        log.warning("job_fenced", job=job.name, term=term.number)
    except Exception:
        log.exception("job_failed", job=job.name)
    finally:
        took = asyncio.get_running_loop().time() - began
        measures.JOB_SECONDS.labels(job.name, outcome).observe(took)
