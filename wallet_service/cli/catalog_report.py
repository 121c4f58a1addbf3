"""What an import of a price list says: a table with examples, or all of it as JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console

    from wallet_service.catalog import ImportReport
    from wallet_service.catalog_changes import PriceChange

_EXAMPLES_SHOWN: Final = 3
_CHANGES_SHOWN: Final = 20


def show(console: "Console", report: "ImportReport") -> None:
    """Print what was read, what was left out and why, and what changed."""
    from rich.table import Table

    changes = report.changes
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{report.entries:,}", "entries read")
    table.add_row(f"{report.models:,}", "models with a price")
    table.add_row(f"{report.prices_read:,}", "prices read")
    if report.prices_implied:
        table.add_row(f"{report.prices_implied:,}", "prices that follow from them")
    table.add_row(f"{report.prices_skipped:,}", "prices left out")
    _add_examples(table, report.free_models, "models are free")
    reasons = Counter(skipped.reason for skipped in report.skipped)
    for reason, count in reasons.most_common():
        names = [
            f"{each.model}: {each.field}" if each.field else each.model
            for each in report.skipped
            if each.reason is reason
        ]
        _add_examples(table, names, f"left out: {reason.value}", count=count)
    table.add_section()
    table.add_row(f"{len(changes.added):,}", "prices added")
    table.add_row(f"{len(changes.changed):,}", "prices changed")
    table.add_row(f"{len(changes.removed):,}", "prices taken away")
    table.add_row(f"{changes.unchanged:,}", "prices unchanged")
    table.add_row(f"{changes.kept:,}", "prices kept that the list does not name")
    _add_examples(table, changes.models_added, "models added")
    _add_examples(table, changes.models_removed, "models taken away")
    console.print(table)
    _show_changes(console, (*changes.changed, *changes.removed))
    console.print(_conclusion(report))


def as_json(report: "ImportReport", *, source: str) -> str:
    """All of a report, prices as texts."""
    import msgspec

    changes = report.changes
    document = {
        "source": source,
        "applied": report.is_applied,
        "plan": {
            "code": report.plan_code,
            "version": report.plan_version,
            "new_version": report.is_new_version,
            "effective_at": report.effective_at,
            "default": report.is_default,
        },
        "entries": report.entries,
        "models": report.models,
        "prices": {
            "read": report.prices_read,
            "implied": report.prices_implied,
            "skipped": report.prices_skipped,
        },
        "metrics_created": report.metrics_created,
        "free_models": report.free_models,
        "skipped": [
            {"model": each.model, "field": each.field, "reason": each.reason.name.lower()}
            for each in report.skipped
        ],
        "changes": {
            "added": [_entry(change) for change in changes.added],
            "changed": [_entry(change) for change in changes.changed],
            "removed": [_entry(change) for change in changes.removed],
            "unchanged": changes.unchanged,
            "kept": changes.kept,
            "models_added": changes.models_added,
            "models_removed": changes.models_removed,
        },
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def _entry(change: "PriceChange") -> dict[str, Any]:
    return {
        "metric": change.metric,
        "model": change.model,
        "when": change.when,
        "before": None if change.before is None else format(change.before, "f"),
        "after": None if change.after is None else format(change.after, "f"),
        "percent": None if change.percent is None else format(change.percent, "f"),
    }


def _show_changes(console: "Console", changes: "Sequence[PriceChange]") -> None:
    from rich.markup import escape
    from rich.table import Table

    if not changes:
        return
    table = Table(box=None, pad_edge=False)
    for name in ("model", "metric", "when", "before", "after", ""):
        table.add_column(name, justify="right" if name in {"before", "after", ""} else "left")
    for change in changes[:_CHANGES_SHOWN]:
        when = ", ".join(f"{key} {'/'.join(values)}" for key, values in change.when.items())
        table.add_row(
            escape(change.model),
            change.metric,
            escape(when),
            "" if change.before is None else format(change.before, "f"),
            "none" if change.after is None else format(change.after, "f"),
            "" if change.percent is None else f"{change.percent:+f} %",
        )
    console.print(table)
    if len(changes) > _CHANGES_SHOWN:
        console.print(f"… and {len(changes) - _CHANGES_SHOWN:,} more (--format json has all)")


def _conclusion(report: "ImportReport") -> str:
    if not report.is_applied:
        return f"plan {report.plan_code}: nothing was changed"
    state = "a new version" if report.is_new_version else "nothing changed"
    if report.is_new_version and report.effective_at is not None:
        state += f" from {report.effective_at.isoformat()}"
    default = ", the default plan" if report.is_default else ""
    return f"plan {report.plan_code} is at version {report.plan_version} ({state}){default}"


def _add_examples(table: Any, names: Sequence[str], text: str, *, count: int | None = None) -> None:
    from rich.markup import escape

    if names:
        shown = ", ".join(escape(name) for name in names[:_EXAMPLES_SHOWN])
        more = ", …" if len(names) > _EXAMPLES_SHOWN else ""
        table.add_row(f"{count or len(names):,}", f"{text} [dim]({shown}{more})[/dim]")
