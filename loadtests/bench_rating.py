"""What pricing one event costs, beside a bare dictionary look-up measured in the same run.

    python loadtests/bench_rating.py
    python loadtests/bench_rating.py --events 20000 --rounds 15

One compiled card per charge model, whose charge has a hundred filters; an event names the one that
takes it. Timed are finding the line (`RateCard.lines`) and pricing it: at once where the price is
linear, else from a running total that goes on from event to event, through all the tiers. It is CPU
time of this process, the best and the middle of the rounds: other work on the machine blurs it all
the same (caches, clock), so compare within one table rather than between two.
"""

import argparse
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from rating import ZERO_TOTAL, Charge, ChargeFilter, ChargeModel, RateCard, linear, marginal
from rating.charge_models import read_model

FILTERS = [f"model-{number}" for number in range(100)]
TIERS = 20
TIER_UNITS = 10_000
LINEAR_TARGET_US = 5
TIERED_TARGET_US = 20

Properties = dict[str, object]


class Case(Struct, frozen=True):
    """A charge model to time, and what one event is to cost at most."""

    name: str
    charge_model: str
    settings: Properties
    target_us: int | None = None


class Timing(Struct, frozen=True):
    """CPU time per event over several rounds."""

    best_ns: float
    middle_ns: float


def tiers(price: str) -> list[Properties]:
    """Twenty classic ranges, each cheaper than the one before."""
    bounds = [0, *range(TIER_UNITS, TIER_UNITS * TIERS, TIER_UNITS), None]
    return [
        {
            "from_value": begin and begin + 1,
            "to_value": end,
            price: f"0.{100 - position:03}",
            "flat_amount": "0.5",
        }
        for position, (begin, end) in enumerate(pairwise(bounds))
    ]


CASES = [
    Case("standard", "standard", {"amount": "0.00000015"}, LINEAR_TARGET_US),
    Case(
        f"graduated, {TIERS} tiers",
        "graduated",
        {"graduated_ranges": tiers("per_unit_amount")},
        TIERED_TARGET_US,
    ),
    Case(
        f"graduated_percentage, {TIERS} tiers",
        "graduated_percentage",
        {"graduated_percentage_ranges": tiers("rate")},
        TIERED_TARGET_US,
    ),
    Case(
        f"volume, {TIERS} tiers",
        "volume",
        {"volume_ranges": tiers("per_unit_amount")},
        TIERED_TARGET_US,
    ),
    Case("package", "package", {"amount": "5", "package_size": 1_000, "free_units": 100}),
    Case("percentage", "percentage", {"rate": "1.3", "fixed_amount": "0.25"}),
    Case(
        "percentage, free tier",
        "percentage",
        {"rate": "1.3", "fixed_amount": "0.25", "free_units_per_total_aggregation": "5000"},
    ),
    Case(
        "percentage, bounded",
        "percentage",
        {"rate": "1.3", "per_transaction_min_amount": "0.1", "per_transaction_max_amount": "2"},
    ),
]


def card_of(model: ChargeModel) -> RateCard:
    """A card with one charge, all of whose filters have this price."""
    charge = Charge(
        id=UUID(int=1),
        code="tokens",
        billable_metric_code="tokens",
        aggregation="sum_agg",
        field_name="tokens",
        filters=tuple(
            ChargeFilter(id=UUID(int=100 + position), values={"model": (value,)}, model=model)
            for position, value in enumerate(FILTERS)
        ),
        asset_code="USD",
    )
    return RateCard.compile(UUID(int=2), [charge])


def price_linear(card: RateCard, events: list[Properties]) -> None:
    """Each event by itself."""
    for properties in events:
        (line,) = card.lines("tokens", properties)
        linear(line)


def price_running(card: RateCard, events: list[Properties]) -> None:
    """Each event from the total of those before it."""
    version = card.plan_version_id
    total = ZERO_TOTAL
    for properties in events:
        (line,) = card.lines("tokens", properties)
        _, total = marginal(line, total, plan_version_id=version)


def look_up(prices: dict[object, Decimal], events: list[Properties]) -> None:
    """What any pricing does at least: the price of the event's model."""
    for properties in events:
        prices[properties["model"]]


def timed(run: Callable[[], None], *, rounds: int, events: int) -> Timing:
    """CPU time per event, after one round to warm up."""
    run()
    each: list[float] = []
    for _ in range(rounds):
        begin = time.process_time_ns()
        run()
        each.append((time.process_time_ns() - begin) / events)
    return Timing(min(each), statistics.median(each))


def machine() -> str:
    """What this ran on, and how busy that was."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    load = f"{os.getloadavg()[0]:.1f}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} CPUs, load {load}; {python}, {platform.system()}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What pricing one event costs.")
    parser.add_argument("--events", type=int, default=10_000, help="events a round")
    parser.add_argument("--rounds", type=int, default=9, help="rounds per charge model")
    arguments = parser.parse_args()
    chance = random.Random(7)
    # Twice what the closed tiers hold, so that a round walks through all of them.
    units_each = 2 * TIERS * TIER_UNITS // arguments.events or 1
    events: list[Properties] = [
        {"model": chance.choice(FILTERS), "tokens": chance.randint(1, 2 * units_each)}
        for _ in range(arguments.events)
    ]
    prices: dict[object, Decimal] = {value: Decimal("0.00000015") for value in FILTERS}
    rounds, count = arguments.rounds, len(events)
    bare = timed(lambda: look_up(prices, events), rounds=rounds, events=count)
    print(f"{machine()}; {count} events x {rounds} rounds")
    print(f"{'':<32} {'best':>9} {'middle':>9} {'x look-up':>10} {'target':>8}")
    print(f"{'dictionary look-up':<32} {bare.best_ns:>6.0f} ns {bare.middle_ns:>6.0f} ns")
    for case in CASES:
        model = read_model(case.charge_model, case.settings)
        card = card_of(model)
        price = price_linear if model.is_linear else price_running
        taken = timed(lambda c=card, p=price: p(c, events), rounds=rounds, events=count)
        ratio = taken.best_ns / bare.best_ns
        target = f"{case.target_us} us" if case.target_us else ""
        print(
            f"{case.name:<32} {taken.best_ns / 1_000:>6.2f} us {taken.middle_ns / 1_000:>6.2f} us"
            f" {ratio:>10.0f} {target:>8}"
        )


if __name__ == "__main__":
    main()
