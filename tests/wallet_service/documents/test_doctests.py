import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["formats", "plain_texts", "einvoices"])
def test_the_examples_are_so(module):
    found = importlib.import_module(f"wallet_service.documents.{module}")
    result = doctest.testmod(found)
    assert result.attempted > 0
    assert not result.failed
