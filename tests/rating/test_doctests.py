"""The examples in `rating`'s docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import rating

MODULES = [
    module.name for module in pkgutil.walk_packages(rating.__path__, prefix=f"{rating.__name__}.")
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), raise_on_error=False)
    assert result.failed == 0
