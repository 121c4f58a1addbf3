"""What is measured: the rows of the table, and who the requests are about."""

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct, structs

from loadtests.speed import shapes
from loadtests.speed.seed import Terms
from loadtests.speed.shapes import Shape


class Row(Struct, frozen=True, kw_only=True):
    """One kind of request, with so many connections, in one market."""

    name: str
    title: str
    shape: Callable[[str, int], Shape]
    """From a key and a number of customers."""
    connections: int = 32
    market: str = "plain"
    customers: int | None = None
    """All of the market's, unless said."""
    work: int = 1
    """Events in a request. Where there are many, it is not compared with the empty handler."""


def _budget(code: str, **more: object) -> dict[str, object]:
    return {"code": code, "limit": "90000", "asset_code": "USD", **more}


_DAY: Final = {"type": "calendar", "interval": "day"}
_MONTH: Final = {"type": "calendar", "interval": "month"}

MARKETS: Final = {
    "plain": Terms(),
    "small": Terms(customers=2_000),
    "grants": Terms(customers=2_000, grants=20),
    "tiers": Terms(has_tiers=True),
    "budgets": Terms(
        budgets=(
            _budget("daily", per="customer", window=_DAY),
            _budget("monthly", per="customer", window=_MONTH),
            _budget("hourly", per="customer", window={"type": "rolling", "seconds": 3600}),
            _budget("output", per="customer", billable_metric_code=shapes.CODES[1]),
            _budget("model", per="customer", mode="soft", filters={"model": [shapes.MODEL]}),
        )
    ),
    "shared budget": Terms(budgets=(_budget("everybody", window=_DAY),)),
}

AUTHORIZE: Final = Row(name="authorize-32", title="authorize", shape=shapes.authorize)
AUTHORIZE_ALONE: Final = Row(
    name="authorize-1", title="authorize", shape=shapes.authorize, connections=1
)
AUTHORIZE_MANY: Final = Row(
    name="authorize-128", title="authorize", shape=shapes.authorize, connections=128
)
PAIRS: Final = Row(name="pairs", title="authorize + capture, pairs", shape=shapes.pair)
CHECK: Final = Row(name="check", title="check", shape=shapes.check)
BATCH: Final = Row(
    name="batch-100",
    title="events, 100 a batch",
    shape=partial(shapes.batch, size=100),
    connections=8,
    work=100,
)
HOT: Final = Row(name="hot", title="authorize, 1 wallet", shape=shapes.authorize, customers=1)

SERVICE: Final = (
    AUTHORIZE_ALONE,
    AUTHORIZE,
    AUTHORIZE_MANY,
    PAIRS,
    HOT,
    Row(name="grants-20", title="authorize, 20 grants", shape=shapes.authorize, market="grants"),
    Row(name="budgets-5", title="authorize, 5 budgets", shape=shapes.authorize, market="budgets"),
    Row(
        name="budget-shared",
        title="authorize, 1 budget of all",
        shape=shapes.authorize,
        market="shared budget",
    ),
    Row(name="tiers", title="authorize, tiered price", shape=shapes.authorize, market="tiers"),
    Row(name="amount", title="authorize, an amount", shape=shapes.authorize_amount),
    CHECK,
    Row(name="balances", title="balances", shape=shapes.balances),
    Row(name="estimate", title="estimate", shape=shapes.estimate),
    Row(name="event", title="event", shape=shapes.event),
    Row(name="event-tiers", title="event, tiered price", shape=shapes.event, market="tiers"),
    BATCH,
    Row(
        name="batch-1000",
        title="events, 1,000 a batch",
        shape=partial(shapes.batch, size=1000),
        connections=2,  # more at one process than get through in time are refused (503)
        work=1000,
    ),
)
ONE_WORKER: Final = (AUTHORIZE,)
# All that is aimed at. A book outside of Postgres is copied by `wallet check`, account by account.
TIGERBEETLE: Final = tuple(
    structs.replace(row, market="small")
    for row in (AUTHORIZE_ALONE, AUTHORIZE, PAIRS, HOT, CHECK, BATCH)
)


def chosen(rows: tuple[Row, ...], only: str) -> tuple[Row, ...]:
    """Those that are named, whole or by their first words (`authorize`, `authorize-32`); or all."""
    words = [word.strip() for word in only.split(",") if word.strip()]
    return tuple(
        row
        for row in rows
        if not words or any(f"{row.name}-".startswith(f"{word}-") for word in words)
    )
