"""A report as people read it: on a terminal, or as Markdown."""

from collections.abc import Iterable, Sequence

from loadtests.speed.report import Aim, Line, Report

_LINES = ("", "at once", "a second", "p50 ms", "p99 ms", "÷ bare", "errors", "mismatch USD", "")
_AIMS = ("", "figure", "reach", "dream", "")


def as_text(report: Report) -> str:
    """For a terminal."""
    return "\n\n".join(
        (
            *conditions(report),
            _aligned([_LINES, *map(_line, report.lines)]),
            *(
                f"{_aimed_at(stack)}\n{_aligned([_AIMS, *map(_aim, aims)])}"
                for stack, aims in report.aims.items()
            ),
        )
    )


def as_markdown(report: Report) -> str:
    """For a page."""
    return "\n\n".join(
        (
            *conditions(report),
            *(
                f"{_aimed_at(stack)}\n\n{_markdown([_AIMS, *map(_aim, aims)])}"
                for stack, aims in report.aims.items()
            ),
            _markdown([_LINES, *map(_line, report.lines)]),
        )
    )


def conditions(report: Report) -> Iterable[str]:
    """Where, what and how it was measured."""
    machine = report.machine
    yield (
        f"{machine.cores} cores ({machine.model}), {machine.memory_gb:g} GB, {machine.system}, "
        f"Python {machine.python}, commit {machine.commit}. Driven by {report.driver} on the same "
        f"machine, whose load was {machine.load:g} before; medians of {report.rounds} runs of "
        f"{report.seconds:g} s."
    )
    for when, sums in report.memory.items():
        kinds = ", ".join(f"{kind} {size / 1e6:.0f}" for kind, size in sums.items())
        yield f"Memory of the stack (PSS, MB), {when}: {sum(sums.values()) / 1e6:.0f} ({kinds})."
    for stack, is_clean in report.checks.items():
        yield f"`wallet check` after it, {stack}: {'clean' if is_clean else 'NOT CLEAN'}."


def _aimed_at(stack: str) -> str:
    return f"What was aimed at, {stack}:"


def _line(line: Line) -> tuple[str, ...]:
    return (
        line.what,
        "" if line.connections is None else str(line.connections),
        f"{line.rate:,.0f}",
        "" if line.p50_ms is None else f"{line.p50_ms:.2f}",
        "" if line.p99_ms is None else f"{line.p99_ms:.1f}",
        "" if line.of_bare is None else f"{line.of_bare:.2f}",
        str(line.errors),
        "" if line.mismatch is None else f"{line.mismatch.normalize():f}",
        line.note,
    )


def _aim(aim: Aim) -> tuple[str, ...]:
    sign = "≤" if aim.is_most else "≥"
    unit = f" {aim.unit}" if aim.unit else ""
    return (
        aim.what,
        f"{aim.value:.2f}{unit}" if aim.unit != "MB" else f"{aim.value:.0f} MB",
        f"{sign} {aim.reach:g}{unit}",
        f"{sign} {aim.dream:g}{unit}",
        aim.verdict,
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            text.ljust(width) if place in {0, last} else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    rule = ["---", *("--:" for _ in head[1:-1]), "---"]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rest))
