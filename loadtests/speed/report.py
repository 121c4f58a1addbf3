"""The table: medians, ratios, and what was aimed at. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from loadtests.speed.machine import Machine
from loadtests.speed.measured import Measured
from loadtests.speed.rows import Row
from loadtests.speed.session import Figure


class Line(Struct, frozen=True, kw_only=True):
    """One line of the table: medians of all rounds."""

    what: str
    connections: int | None = None
    rate: float
    """Of events, requests or pairs, a second."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    of_bare: float | None = None
    errors: int = 0
    mismatch: Decimal | None = None
    """USD; None where there is no money."""
    note: str = ""


class Aim(Struct, frozen=True, kw_only=True):
    """A figure that is aimed at."""

    what: str
    value: float
    reach: float
    dream: float
    unit: str = ""
    is_most: bool = False
    """Should it be at most that, or at least?"""

    @property
    def verdict(self) -> str:
        for limit, word in ((self.dream, "dream"), (self.reach, "met")):
            if self.value <= limit if self.is_most else self.value >= limit:
                return word
        return "missed"


class Report(Struct, frozen=True, kw_only=True):
    """Everything that a run has to say."""

    machine: Machine
    driver: str
    seconds: float
    rounds: int
    lines: list[Line]
    aims: dict[str, list[Aim]]
    """By stack, or by what has grown."""
    memory: dict[str, dict[str, int]]
    """Bytes, by when, and by kind of process."""
    checks: dict[str, bool]
    """Was `wallet check` clean, by stack?"""

    @property
    def is_good(self) -> bool:
        """Was all of it without an error, a mismatch or a breach?"""
        return all(self.checks.values()) and not any(
            line.errors or line.mismatch for line in self.lines
        )


def line_of(row: Row, figures: Sequence[Figure], *, where: str = "") -> Line:
    """What one row came to."""
    seen = [figure.seen for figure in figures]
    return Line(
        what=f"{row.title}{where}",
        connections=row.connections,
        rate=statistics.median(one.rate for one in seen) * row.work,
        p50_ms=statistics.median(one.p50_ms for one in seen),
        p99_ms=statistics.median(one.p99_ms for one in seen),
        of_bare=None if row.work > 1 else statistics.median(one.of_bare for one in figures),
        errors=sum(one.errors for one in seen),
        mismatch=sum((figure.mismatch for figure in figures), Decimal(0)),
    )


def line_of_bare(connections: int, seen: Sequence[Measured], *, where: str = "") -> Line:
    return Line(
        what=f"bare{where}",
        connections=connections,
        rate=statistics.median(one.rate for one in seen),
        p50_ms=statistics.median(one.p50_ms for one in seen),
        p99_ms=statistics.median(one.p99_ms for one in seen),
        of_bare=1.0,
        errors=sum(one.errors for one in seen),
    )


def ratio(above: Sequence[Figure], below: Sequence[Figure]) -> float:
    """How one row compares with another, round by round."""
    return statistics.median(
        one.seen.rate / other.seen.rate if other.seen.rate else 0.0
        for one, other in zip(above, below, strict=True)
    )


def aims_of(
    figures: Mapping[str, Sequence[Figure]],
    *,
    inserts: float | None,
    wallets: int,
    idle_bytes: int | None,
) -> list[Aim]:
    """What was aimed at, as far as it was measured.

    `inserts` are what Postgres alone writes a second; `wallets`, how many are authorized for.
    """
    aims: list[Aim] = []
    many, alone = figures.get("authorize-32"), figures.get("authorize-1")
    if many:
        of_bare = statistics.median(one.of_bare for one in many)
        p99 = statistics.median(one.seen.p99_ms for one in many)
        aims += [
            Aim(what="authorize ÷ bare, at 32", value=of_bare, reach=0.45, dream=0.75),
            Aim(
                what="p99 of authorize, at 32",
                value=p99,
                reach=25,
                dream=10,
                unit="ms",
                is_most=True,
            ),
        ]
    if alone:
        more = statistics.median(
            one.seen.p50_ms - (one.bare.p50_ms if one.bare else 0) for one in alone
        )
        aims.append(
            Aim(
                what="p50 of authorize less that of bare, at 1",
                value=more,
                reach=2,
                dream=1,
                unit="ms",
                is_most=True,
            )
        )
    if check := figures.get("check"):
        of_bare = statistics.median(one.of_bare for one in check)
        aims.append(Aim(what="check ÷ bare, at 32", value=of_bare, reach=1, dream=1.5))
    if many and (pairs := figures.get("pairs")):
        aims.append(Aim(what="pairs ÷ authorize", value=ratio(pairs, many), reach=0.4, dream=0.5))
    if inserts and (batch := figures.get("batch-100")):
        rate = statistics.median(one.seen.rate for one in batch) * 100
        aims.append(
            Aim(
                what="events of batches ÷ raw inserts",
                value=rate / inserts,
                reach=0.4,
                dream=0.6,
            )
        )
    if many and (hot := figures.get("hot")):
        aims.append(
            Aim(
                what=f"1 wallet ÷ {wallets:,} wallets",
                value=ratio(hot, many),
                reach=0.9,
                dream=1,
            )
        )
    if idle_bytes:
        aims.append(
            Aim(
                what="memory of the idle stack",
                value=idle_bytes / 1e6,
                reach=250,
                dream=170,
                unit="MB",
                is_most=True,
            )
        )
    return aims
