"""Periods and events for tests, written short."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from rating import ChargeModel
from rating.aggregations import Aggregation
from rating.charge_models import read_model
from rating.events import Event
from rating.period import Period
from rating.terms import Price, Terms

VERSION = UUID(int=1)


def at(text: str) -> datetime:
    """A time in UTC: 2024-06-11, or 2024-06-11T10:00."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def period(start: str, end: str, *, zone: tzinfo = UTC, full_days: int | None = None) -> Period:
    return Period(start=at(start), end=at(end), zone=zone, full_days=full_days)


def used(when: str, units: Decimal | str | int = 1, **more: Any) -> Event:
    return Event(timestamp=at(when), units=Decimal(units), **more)


def added(when: str, member: str, **more: Any) -> Event:
    return used(when, member=member, **more)


def removed(when: str, member: str, **more: Any) -> Event:
    return used(when, member=member, removes=True, **more)


def terms(
    aggregation: Aggregation, *models: ChargeModel, recurring: bool = False, **more: Any
) -> Terms:
    """Terms with these models as versions 1, 2 …"""
    prices = tuple(Price(UUID(int=version), model) for version, model in enumerate(models, 1))
    return Terms(aggregation=aggregation, prices=prices, recurring=recurring, **more)


def ranges(*given: tuple[int | str, int | str | None, int | str, int | str]) -> list[Any]:
    """Ranges of (from, to, per unit, flat)."""
    return [
        {
            "from_value": begin,
            "to_value": end,
            "per_unit_amount": str(per_unit),
            "flat_amount": str(flat),
        }
        for begin, end, per_unit, flat in given
    ]


def standard(amount: str | int = 1) -> ChargeModel:
    return read_model("standard", {"amount": str(amount)})


def graduated(*given: tuple[int | str, int | str | None, int | str, int | str]) -> ChargeModel:
    return read_model("graduated", {"graduated_ranges": ranges(*given)})


def volume(*given: tuple[int | str, int | str | None, int | str, int | str]) -> ChargeModel:
    return read_model("volume", {"volume_ranges": ranges(*given)})
