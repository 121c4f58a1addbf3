"""Medians, ratios of the same round, and what was aimed at."""

from decimal import Decimal

import msgspec
import pytest

from loadtests.flame import summary
from loadtests.speed import rows, tables
from loadtests.speed.machine import Machine
from loadtests.speed.measured import Measured
from loadtests.speed.report import Aim, Line, Report, aims_of, line_of, ratio
from loadtests.speed.session import Figure

MACHINE = Machine(
    cores=2, model="A chip", memory_gb=4, python="3.11.7", system="Linux", load=0.1, commit="abc"
)


def seen(rate: float, *, p50_ms: float = 1, p99_ms: float = 9, errors: int = 0) -> Measured:
    return Measured(
        seconds=2,
        requests=int(rate * 2),
        errors=errors,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        done=int(rate * 2),
    )


def figure(rate: float, bare: float, **more: float) -> Figure:
    return Figure(seen(rate, **more), seen(bare, p50_ms=0.25), Decimal(0))


def test_a_line_has_medians_and_the_ratio_of_each_round():
    figures = [figure(100, 1000), figure(300, 1000), figure(200, 400)]
    line = line_of(rows.AUTHORIZE, figures)
    assert (line.rate, line.of_bare, line.errors, line.mismatch) == (200, 0.3, 0, 0)


def test_errors_and_mismatches_are_added_up_and_spoil_the_report():
    bad = Figure(seen(100, errors=2), seen(100), Decimal("0.5"))
    line = line_of(rows.AUTHORIZE, [bad, bad])
    assert (line.errors, line.mismatch) == (4, 1)
    assert not report([line]).is_good
    assert not report([], checks={"postgres": False}).is_good
    assert report([], checks={"postgres": True}).is_good


def test_batches_count_events_and_are_not_compared_with_the_empty_handler():
    line = line_of(rows.BATCH, [Figure(seen(3), None, Decimal(0))])
    assert (line.rate, line.of_bare) == (300, None)


def test_rows_are_compared_round_by_round():
    above, below = [figure(50, 1), figure(90, 1)], [figure(100, 1), figure(100, 1)]
    assert ratio(above, below) == pytest.approx(0.7)
    assert ratio([figure(50, 1)], [figure(0, 1)]) == 0


@pytest.mark.parametrize(
    ("value", "is_most", "verdict"),
    [
        (0.45, False, "met"),
        (0.44, False, "missed"),
        (0.75, False, "dream"),
        (25, True, "met"),
        (25.1, True, "missed"),
        (10, True, "dream"),
    ],
)
def test_an_aim_is_met_on_its_bound(value, is_most, verdict):
    reach, dream = (25, 10) if is_most else (0.45, 0.75)
    aim = Aim(what="", value=value, reach=reach, dream=dream, is_most=is_most)
    assert aim.verdict == verdict


def test_only_what_was_measured_is_judged():
    assert aims_of({}, inserts=None, wallets=0, idle_bytes=None) == []
    figures = {
        "authorize-32": [figure(400, 1000, p99_ms=30)],
        "authorize-1": [figure(100, 1000, p50_ms=2)],
        "batch-100": [Figure(seen(50), None, Decimal(0))],
        "hot": [figure(380, 1000)],
    }
    aims = aims_of(figures, inserts=10_000, wallets=10_000, idle_bytes=200_000_000)
    assert [(aim.what, round(aim.value, 3), aim.verdict) for aim in aims] == [
        ("authorize ÷ bare, at 32", 0.4, "missed"),
        ("p99 of authorize, at 32", 30, "missed"),
        ("p50 of authorize less that of bare, at 1", 1.75, "met"),
        ("events of batches ÷ raw inserts", 0.5, "met"),
        ("1 wallet ÷ 10,000 wallets", 0.95, "met"),
        ("memory of the idle stack", 200, "met"),
    ]


def report(lines: list[Line], checks: dict[str, bool] | None = None) -> Report:
    return Report(
        machine=MACHINE,
        driver="wrk",
        seconds=3,
        rounds=3,
        lines=lines,
        aims={
            stack: [Aim(what="check ÷ bare", value=value, reach=1, dream=1.5)]
            for stack, value in (("postgres, 2 workers", 1.2), ("tigerbeetle, 2 workers", 0.9))
        },
        memory={"idle": {"api": 100_000_000, "postgres": 50_000_000}},
        checks=checks or {},
    )


def test_a_report_reads_the_same_on_a_terminal_on_a_page_and_as_json():
    line = Line(what="authorize", connections=32, rate=1234.5, p50_ms=5, p99_ms=20.25, of_bare=0.5)
    limit = Line(what="limit: reads", rate=100_000, note="32 at once")
    whole = report([line, limit], {"postgres": True})
    text, page = tables.as_text(whole), tables.as_markdown(whole)
    assert "2 cores (A chip), 4 GB, Linux, Python 3.11.7, commit abc" in text
    assert "idle: 150 (api 100, postgres 50)" in text
    assert "`wallet check` after it, postgres: clean." in page
    assert "| authorize | 32 | 1,234 | 5.00 | 20.2 | 0.50 | 0 |  |  |" in page
    assert "| check ÷ bare | 1.20 | ≥ 1 | ≥ 1.5 | met |" in page
    assert "| check ÷ bare | 0.90 | ≥ 1 | ≥ 1.5 | missed |" in page
    for shown in (text, page):
        _, postgres, tigerbeetle = shown.split("What was aimed at, ")
        assert postgres.startswith("postgres, 2 workers:")
        assert "1.20" in postgres
        assert tigerbeetle.startswith("tigerbeetle, 2 workers:")
        assert "0.90" in tigerbeetle
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Report) == whole


def test_rows_are_chosen_by_whole_words():
    def names(only: str) -> list[str]:
        return [row.name for row in rows.chosen(rows.SERVICE, only)]

    assert names("authorize") == ["authorize-1", "authorize-32", "authorize-128"]
    assert names("batch-100, check") == ["check", "batch-100"]
    assert len(names("")) == len(rows.SERVICE)
    assert names("limits") == []


def test_names_of_rows_are_their_own_and_their_markets_exist():
    names = [row.name for row in rows.SERVICE]
    assert len(set(names)) == len(names)
    assert {row.market for row in rows.SERVICE + rows.TIGERBEETLE} <= set(rows.MARKETS)


@pytest.mark.parametrize("measured", [rows.SERVICE, rows.TIGERBEETLE])
def test_each_stack_is_compared_with_all_that_is_aimed_at(measured):
    figures = {row.name: [figure(400, 1000)] for row in measured}
    aims = aims_of(figures, inserts=10_000, wallets=2_000, idle_bytes=1)
    assert len(aims) == 8


def test_a_profile_is_summed_up_by_function():
    raw = "main (a.py:1);work (a.py:5) 3\nmain (a.py:1);work (a.py:6);sleep (b.py:2) 1\n"
    assert summary(raw) == [
        ("main (a.py", 0.0, 1.0),
        ("work (a.py", 0.75, 1.0),
        ("sleep (b.py", 0.25, 0.25),
    ]
