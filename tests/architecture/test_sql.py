"""Every query in a .sql file is one that Postgres understands, on the tables there are."""

import re
from pathlib import Path

import pytest

from invoicing.records import load_queries

ROOT = Path(__file__).parents[2]
PACKAGES = ("ledger", "invoicing", "wallet_service")
FILES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.sql"))
    if "migrations" not in path.parts
]
NAME = re.compile(r"--\s*name:\s*(\w+)")


def queries(path: Path) -> dict[str, str]:
    """Return the queries of a file as aiosql sends them, by name."""
    loaded = load_queries(str(path))
    names = NAME.findall(path.read_text())
    return {name: getattr(loaded, name).sql for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
async def test_every_query_prepares_against_the_migrated_database(path, database):
    problems = []
    async with database.worker.acquire() as connection:
        await connection.execute("reset role")
        for name, sql in queries(path).items():
            for statement in statements(sql):
                try:
                    await connection.prepare(statement)
                except Exception as error:  # noqa: BLE001 (all of them are reported together)
                    problems.append(f"{name}: {error}")
        await connection.execute("set role wallet_worker")
    assert not problems, "\n".join(problems)


def statements(sql: str) -> list[str]:
    """Split a script; only one statement at a time can be prepared."""
    return [part for part in sql.split(";\n") if re.sub(r"--[^\n]*|\s|;", "", part)]


def test_names_are_used_once_in_a_file():
    for path in FILES:
        names = NAME.findall(path.read_text())
        assert sorted(names) == sorted(set(names)), path


def test_queries_say_whose_table_they_touch():
    """A schema before every table: the search path is nobody's business."""
    bare = re.compile(
        r"\b(?:insert into|(?<!for )(?<!key )(?<!do )update|delete from)\s+([a-z_]+)(?=[\s(])",
        re.IGNORECASE,
    )
    for path in FILES:
        found = bare.findall(re.sub(r"--[^\n]*|'[^']*'", "", path.read_text()))
        assert not found, f"{path}: {found}"
