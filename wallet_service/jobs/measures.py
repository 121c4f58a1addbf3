"""What the worker tells Prometheus about itself and about what it finds."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "BILLED",
    "BOOK_DIFFERENCES",
    "COMPARED",
    "DRIFT",
    "IMBALANCE",
    "JOB_SECONDS",
    "JOB_WORK",
    "LEADS",
    "OLDEST",
    "REPAIRED",
]

LEADS: Final = Gauge(
    "wallet_worker_leads",
    "1 where this worker leads, else 0.",
    multiprocess_mode="livesum",
)
JOB_SECONDS: Final = Histogram(
    "wallet_job_seconds",
    "How long one run of a job took.",
    ("job", "outcome"),
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0),
)
JOB_WORK: Final = Counter("wallet_job_work", "What jobs have dealt with.", ("job",))
BILLED: Final = Counter(
    "wallet_billed",
    "What billing runs have made: invoices, fees, and problems, which wait to be tried again.",
    ("what",),
)
OLDEST: Final = Gauge(
    "wallet_oldest_seconds",
    "Age of the oldest thing that waits: a hold past its expiry, an open intent, an unrated event, "
    "usage that is in no rollup yet.",
    ("kind",),
    multiprocess_mode="mostrecent",
)
DRIFT: Final = Gauge(
    "wallet_hot_balance_drift",
    "Σ|hot - ledger| in minor units, as found in the last cycle and then repaired.",
    ("asset",),
    multiprocess_mode="mostrecent",
)
COMPARED: Final = Counter("wallet_hot_customers_compared", "Hot balances compared with the ledger.")
REPAIRED: Final = Counter(
    "wallet_hot_customers_repaired",
    "Hot balances put again: they were wrong (drift), or not there (cold).",
    ("reason",),
)
BOOK_DIFFERENCES: Final = Counter(
    "wallet_book_differences",
    "What Postgres says of the book and the book does not. Never repaired: somebody must look.",
    ("kind",),
)
IMBALANCE: Final = Gauge(
    "wallet_ledger_imbalance",
    "Ledgers whose debits are not their credits. Anything but 0 is an alarm.",
    multiprocess_mode="mostrecent",
)
