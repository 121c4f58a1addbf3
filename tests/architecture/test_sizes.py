"""Files and functions small enough to be read at once; a warning, since a few have to be longer."""

import ast
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("ledger", "rating", "invoicing", "wallet_service")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def test_long_files_and_functions_are_noticed():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            name = path.relative_to(ROOT)
            if (lines := text.count("\n")) > FILE_LINES_MAX:
                warnings.warn(f"{name} has {lines} lines", stacklevel=1)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or 0) - node.lineno
                    if length > FUNCTION_LINES_MAX:
                        message = f"{name}:{node.lineno} {node.name} has {length} lines"
                        warnings.warn(message, stacklevel=1)
