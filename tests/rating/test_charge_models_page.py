"""The examples of docs/reference/charge-models.md come out as the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

import pytest
from msgspec.structs import replace

from rating import Dynamic, Standard, linear
from rating.charge_models import CHARGE_MODELS, read_model
from tests.rating.playing import line, marginal_amounts, price_events

PAGE = Path(__file__).parents[2] / "docs/reference/charge-models.md"
Example: TypeAlias = tuple[str, dict[str, object], list[list[Decimal]]]


def examples() -> Iterator[Example]:
    """Of each section named like a model: settings, and per row of a table below them its cells."""
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        name, text = section.split("\n", 1)
        if name not in CHARGE_MODELS:
            continue
        for block in text.split("```json\n")[1:]:
            settings, below = block.split("```", 1)
            for row in re.findall(r"^\| ([-\d].*) \|$", below, flags=re.MULTILINE):
                cells = [cell.split(", ") for cell in row.split(" | ")]
                yield (
                    name,
                    json.loads(settings),
                    [[Decimal(value) for value in cell] for cell in cells],
                )


@pytest.mark.parametrize(
    "example", list(examples()), ids=lambda example: f"{example[0]}-{example[2][0]}"
)
def test_an_example_comes_out_as_the_page_says(example: Example) -> None:
    name, settings, (events, *cents, each, period) = example
    model = read_model(name, settings)
    if isinstance(model, Dynamic):
        brought = zip(events, cents[0], strict=True)
        lines = [replace(line(model, units), precise_amount_cents=own) for units, own in brought]
        assert [linear(one) for one in lines] == each
    elif isinstance(model, Standard):
        assert [linear(line(model, units)) for units in events] == each
    else:
        assert marginal_amounts(model, *events) == each
    assert [price_events(model, events, *cents)] == period


def test_every_model_has_an_example() -> None:
    assert {name for name, _, _ in examples()} == set(CHARGE_MODELS)
