"""Which package may know of which, and what stays out of the pure ones."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ledger", "rating", "invoicing", "wallet_service")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_the_contracts_of_import_linter_are_kept():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    if not command[0].exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


# Who may load a driver or a framework; a folder stands for all in it.
PLACES = {
    "tigerbeetle": ("ledger/engines/tigerbeetle.py", "ledger/engines/tigerbeetle_dispatcher.py"),
    "redis": ("wallet_service/hot_servers.py", "wallet_service/catalogue_news.py"),
    "hiredis": ("wallet_service/hot_connection.py",),
    "litestar": ("wallet_service/api", "wallet_service/cli/serve.py"),
    "httpx": ("wallet_service/client", "wallet_service/cli", "wallet_service/tax_service_http.py"),
    "click": ("wallet_service/cli",),
    "rich": ("wallet_service/cli",),
}


@cache
def imported(path: Path) -> frozenset[str]:
    """Return what a file imports, anywhere in it, by full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.parent.relative_to(ROOT).parts
            above = package[: len(package) - node.level + 1] if node.level else ()
            found.add(".".join((*above, *([node.module] if node.module else []))))
    return frozenset(found)


@pytest.mark.parametrize("library", PLACES)
def test_a_driver_is_loaded_only_where_it_drives(library):
    places = [ROOT / place for place in PLACES[library]]
    found = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if library in {name.partition(".")[0] for name in imported(path)}
        and not any(path == place or path.is_relative_to(place) for place in places)
    ]
    assert not found


def test_the_client_could_leave_the_house_unchanged():
    """It imports itself, httpx, msgspec and the standard library."""
    allowed = sys.stdlib_module_names | {"httpx", "msgspec"}
    client = ROOT / "wallet_service/client"
    for path in (path for path in MODULES if path.is_relative_to(client)):
        for name in imported(path):
            is_own = name == "wallet_service.client" or name.startswith("wallet_service.client.")
            assert is_own or name.partition(".")[0] in allowed, f"{path}: {name}"


@pytest.mark.parametrize("package", ["ledger", "rating", "invoicing"])
def test_money_and_prices_know_no_float(package):
    """A float is a rounding that nobody chose. Engines may count seconds with them."""
    paths = [path for path in MODULES if path.is_relative_to(ROOT / package)]
    for path in [path for path in paths if "engines" not in path.parts]:
        for node in ast.walk(ast.parse(path.read_text())):
            is_call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"
            is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            assert not is_call, where
            assert not is_literal, where


def test_the_command_line_starts_without_the_rest_of_the_house():
    """`wallet --help` is fast because it imports almost nothing."""
    program = "import sys, wallet_service.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"asyncpg", "litestar", "redis", "msgspec", "httpx", "aiosql"} & set(
        done.stdout.split()
    )
    assert not heavy


def test_nothing_is_named_for_having_no_better_name():
    vague = {"utils", "util", "common", "helpers", "core", "misc"}
    found = [path for path in MODULES if vague & {path.stem, *path.relative_to(ROOT).parts}]
    assert not found
