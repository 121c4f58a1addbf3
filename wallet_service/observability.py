"""What an operator sees: logs as JSON lines, and measurements for Prometheus.

Nothing here is a secret: keys, bodies and headers are never logged, paths only as templates.
"""

import logging
import os
import sys
from contextvars import ContextVar
from typing import Any, Final

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import multiprocess as prometheus_multiprocess

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

_SECONDS: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip

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
    """Counts and times requests. Prometheus' own look-up of labels is slow, so they are kept."""

    __slots__ = ("_counters", "_timers")

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._timers: dict[tuple[str, str], Any] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take one request into account. `route` is a template: there are only so many of them."""
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = REQUESTS.labels(method, route, str(status))
            self._counters[method, route, status] = counter
        counter.inc()
        timer = self._timers.get((method, route))
        if timer is None:
            timer = SECONDS.labels(method, route)
            self._timers[method, route] = timer
        timer.observe(seconds)


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


def _add_request_id(_logger: object, _method: str, event: Any) -> Any:
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event["request_id"] = request_id
    return event
