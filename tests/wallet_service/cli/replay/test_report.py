import json
from decimal import Decimal

import pytest
from inline_snapshot import snapshot
from rich.console import Console

from wallet_service.cli.replay.player import Tally
from wallet_service.cli.replay.report import Report, percentile

TALLY = Tally(
    calls=1200,
    approved=1199,
    denied=1,
    captured=1199,
    debited=Decimal("12.5000"),
    overage=Decimal("0E-9"),
    authorize_s=[n / 1000 for n in range(1200, 0, -1)],
    capture_s=[0.0021234],
    elapsed_s=0.75,
)


def test_the_json_is_one_line_in_a_fixed_order() -> None:
    text = Report.of(TALLY, run="replay-1", drift=Decimal("0.000000001")).json()
    assert "\n" not in text
    found = json.loads(text)
    assert found == snapshot(
        {
            "run": "replay-1",
            "calls": 1200,
            "approved": 1199,
            "denied": 1,
            "captured": 1199,
            "debited": "12.5",
            "overage": "0",
            "asset": "USD",
            "elapsed_s": 0.75,
            "calls_per_s": 1600.0,
            "authorize_ms": {"p50": 600.0, "p99": 1188.0},
            "capture_ms": {"p50": 2.123, "p99": 2.123},
            "drift": "0.000000001",
        }
    )
    assert list(found) == list(Report.__struct_fields__)


def test_where_nothing_was_captured_there_is_no_percentile() -> None:
    found = json.loads(Report.of(Tally(), run="replay-1", drift=Decimal(0)).json())
    assert found["capture_ms"] == {"p50": None, "p99": None}
    assert found["calls_per_s"] == 0


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (100, 99, 99), (101, 99, 100)],
)
def test_a_percentile_is_a_value_that_was_measured(count: int, percent: int, rank: int) -> None:
    assert percentile(range(1, count + 1), percent) == rank


def test_the_table_shows_money_and_speed() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(Report.of(TALLY, run="replay-1", drift=Decimal(0)).table())
    text = capture.get()
    assert "12.5 USD" in text
    assert "1,600.0 calls/s" in text
    assert "600.0 / 1188.0 ms" in text
