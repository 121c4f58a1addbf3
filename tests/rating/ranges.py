"""Ranges of charge models in the short notation of the reference: `0-10@10+2, 11+@5`."""

from __future__ import annotations

import re

from rating import Graduated, GraduatedPercentage, Volume

_RANGE = re.compile(
    r"(?P<begin>[\d.]+)(?:-(?P<end>[\d.]+)|\+)@(?P<price>[\d.]+)(?:\+(?P<flat>.+))?"
)


def ranges(text: str, *, price: str = "per_unit_amount") -> list[dict[str, object]]:
    """Settings as a client sends them: per range its bounds, its price and its flat amount."""
    entries: list[dict[str, object]] = []
    for part in text.split(", "):
        found = _RANGE.fullmatch(part)
        assert found, part
        entries.append(
            {
                "from_value": _bound(found["begin"]),
                "to_value": _bound(found["end"]) if found["end"] else None,
                price: found["price"],
                "flat_amount": found["flat"] or "0",
            }
        )
    return entries


def _bound(text: str) -> object:
    return text if "." in text else int(text)


def graduated(text: str) -> Graduated:
    return Graduated.from_properties({"graduated_ranges": ranges(text)})


def graduated_percentage(text: str) -> GraduatedPercentage:
    return GraduatedPercentage.from_properties(
        {"graduated_percentage_ranges": ranges(text, price="rate")}
    )


def volume(text: str) -> Volume:
    return Volume.from_properties({"volume_ranges": ranges(text)})
