"""What an operator sees: logs as JSON lines, and measurements for Prometheus.

Nothing here is a secret: keys, bodies and headers are never logged, paths only as templates.
"""

import asyncio
import logging
import os
import sys
from bisect import bisect_left
from contextvars import ContextVar
from typing import Any, Final

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import multiprocess as prometheus_multiprocess

REQUEST_ID: ContextVar[bytes | None] = ContextVar("request_id", default=None)

_SECONDS: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

_PASSED_ON_EVERY_S: Final = 1.0

REQUESTS: Final = Counter(
    "wallet_http_requests", "Requests answered.", ("method", "route", "status")
)
SECONDS: Final = Histogram(
    "wallet_http_request_seconds",
    "From the first byte of a request to the last of its answer.",
    ("method", "route"),
    buckets=_SECONDS,
)


class RequestMeasures:
    """Counts and times requests.

    Prometheus' figures lie in shared memory behind locks, which costs more than answering a read of
    balances. So requests are counted here, and Prometheus hears of many at once: a second after the
    first of them, and when it asks this process (`pass_on`).
    """

    __slots__ = ("_is_due", "_tallies")

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, int], _Tally] = {}
        self._is_due = False

    def add(self, kind: tuple[str, str, int], seconds: float) -> None:
        """Take one request into account: method, route and status, and how long it took.

        A route is a template: there are only so many of them.
        """
        tally = self._tallies.get(kind)
        if tally is None:
            tally = self._tallies[kind] = _Tally()
        tally.seconds += seconds
        tally.counts[bisect_left(_SECONDS, seconds)] += 1
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_PASSED_ON_EVERY_S, self.pass_on)

    def pass_on(self) -> None:
        """Tell Prometheus what came since; also to be called before the process ends."""
        self._is_due = False
        tallies, self._tallies = self._tallies, {}
        for (method, route, status), tally in tallies.items():
            REQUESTS.labels(method, route, str(status)).inc(sum(tally.counts))
            timer: Any = SECONDS.labels(method, route)
            # What `observe` does for one; the library has no word for many.
            timer._sum.inc(tally.seconds)  # noqa: SLF001
            for bucket, count in zip(timer._buckets, tally.counts, strict=True):  # noqa: SLF001
                if count:
                    bucket.inc(count)


class _Tally:
    """How many requests of one kind took how long: a count for each bucket, the last unbounded."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.seconds = 0.0


def render_metrics() -> bytes:
    """All measurements in Prometheus' text format, of all processes that share their folder."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        prometheus_multiprocess.MultiProcessCollector(registry)  # pyright: ignore[reportUnknownMemberType]
        return generate_latest(registry)
    return generate_latest(REGISTRY)


# Local variables hold keys and bodies: a stack says where, never what.
_STACK_WITHOUT_VALUES: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logging(level: int = logging.INFO) -> None:
    """Write JSON lines to stderr, each with the id of the request it belongs to."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_STACK_WITHOUT_VALUES),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, LibraryLogs) for handler in root.handlers):
        root.addHandler(LibraryLogs(max(level, logging.WARNING)))


class LibraryLogs(logging.Handler):
    """Writes what libraries warn of (a job that was skipped, say) as all other lines are written.

    What uvicorn tells an operator stays as it is.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, with the name of its logger."""
        try:
            structlog.get_logger().log(
                min(record.levelno // 10 * 10, logging.CRITICAL),
                record.getMessage(),
                logger=record.name,
                exc_info=record.exc_info,
            )
        except Exception:  # noqa: BLE001 (nobody who logs is to fail of it)
            self.handleError(record)


def _add_request_id(_logger: object, _method: str, event: Any) -> Any:
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event["request_id"] = request_id.decode()
    return event
