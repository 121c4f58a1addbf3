"""What a run found, for people and for programs."""

import math
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct
from rich.table import Table

from wallet_service.cli.replay.player import ASSET, Tally

__all__ = ["Percentiles", "Report", "percentile"]


class Percentiles(Struct, frozen=True):
    """Of all calls, so many percent took at most so long; None where there was no call."""

    p50: float | None
    p99: float | None


class Report(Struct, frozen=True, kw_only=True):
    """One run. The order of the fields is that of the JSON."""

    run: str
    """What the external ids of its customers begin with: `run`-0, `run`-1 …"""
    calls: int
    approved: int
    denied: int
    captured: int
    debited: str
    overage: str
    asset: str
    elapsed_s: float
    calls_per_s: float
    authorize_ms: Percentiles
    capture_ms: Percentiles
    drift: str

    @classmethod
    def of(cls, tally: Tally, *, run: str, drift: Decimal) -> "Report":
        """Sum up a run."""
        return cls(
            run=run,
            calls=tally.calls,
            approved=tally.approved,
            denied=tally.denied,
            captured=tally.captured,
            debited=_shortest(tally.debited),
            overage=_shortest(tally.overage),
            asset=ASSET,
            elapsed_s=round(tally.elapsed_s, 3),
            calls_per_s=round(tally.calls / tally.elapsed_s, 1) if tally.elapsed_s else 0.0,
            authorize_ms=_percentiles_ms(tally.authorize_s),
            capture_ms=_percentiles_ms(tally.capture_s),
            drift=_shortest(drift),
        )

    def json(self) -> str:
        """One line for programs."""
        return msgspec.json.encode(self).decode()

    def table(self) -> Table:
        """A table for people."""
        sheet = Table.grid(padding=(0, 2))
        sheet.add_column(style="bold")
        sheet.add_column(justify="right")
        for name, value in (
            ("calls", f"{self.calls:,}"),
            ("approved", f"{self.approved:,}"),
            ("denied", f"{self.denied:,}"),
            ("captured", f"{self.captured:,}"),
            ("debited", f"{self.debited} {self.asset}"),
            ("overage", f"{self.overage} {self.asset}"),
            ("elapsed", f"{self.elapsed_s} s"),
            ("speed", f"{self.calls_per_s:,} calls/s"),
            ("authorize p50 / p99", _milliseconds(self.authorize_ms)),
            ("capture p50 / p99", _milliseconds(self.capture_ms)),
            ("drift", f"{self.drift} {self.asset}"),
        ):
            sheet.add_row(name, value)
        return sheet


def percentile(sorted_values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not exceed (nearest rank)."""
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


def _percentiles_ms(seconds: Sequence[float]) -> Percentiles:
    if not seconds:
        return Percentiles(None, None)
    ordered = sorted(seconds)
    return Percentiles(*(round(percentile(ordered, percent) * 1000, 3) for percent in (50, 99)))


def _milliseconds(found: Percentiles) -> str:
    if found.p50 is None:
        return "-"
    return f"{found.p50} / {found.p99} ms"


def _shortest(amount: Decimal) -> str:
    """Write an amount as the API does: no exponent, no zeros at the end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
