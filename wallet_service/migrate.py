"""Bring a database from any earlier version to this one: numbered SQL, forward only.

Three lines of migrations, one a schema, run in the order of `LINES`. Each file runs once, in a
transaction of its own, and is remembered with its checksum in `public.wallet_migrations`. A lock
makes runners wait for one another, so every process of a release may call `migrate` when it starts.
"""

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg
from msgspec import Struct

LINES: Final = ("ledger", "invoicing", "wallet_service")
ROLES: Final = ("wallet_api", "wallet_committer", "wallet_worker")

_FILE_NAME: Final = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
_LOCK: Final = 7_220_115_301_945_001  # any number that no other advisory lock uses

# Roles belong to the whole server, so two databases migrating at once may both try to create them.
_CREATE_ROLE: Final = """
do $$ begin
    create role {role} nologin;
exception when duplicate_object or unique_violation then null;
end $$
"""
# `wallet_service.database` takes a role when it connects, which a login that is no superuser must
# be allowed to.
_GRANT_ROLE: Final = """
do $$ begin
    if not pg_has_role('{role}', 'member') then grant {role} to current_user; end if;
end $$
"""
_REMEMBER: Final = """
insert into public.wallet_migrations (line, number, name, checksum) values ($1, $2, $3, $4)
"""
_CREATE_TABLE: Final = """
create table if not exists public.wallet_migrations (
    line text not null,
    number int not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    primary key (line, number)
)
"""


class MigrationError(Exception):
    """The database cannot be brought to this version; the message names the file and what to do."""


class MigrationMissing(MigrationError):
    """Somebody has yet to run `wallet migrate`."""


class Migration(Struct, frozen=True, kw_only=True):
    """One step of one line."""

    line: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Identify the text, so that an edited file is noticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.line}/migrations/{self.name}"


async def migrate(dsn: str, *, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names of it; raises MigrationError."""
    wanted = load_migrations() if migrations is None else migrations
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "wallet-migrate"})
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        for role in ROLES:
            await connection.execute(_CREATE_ROLE.format(role=role))
            await connection.execute(_GRANT_ROLE.format(role=role))
            await connection.execute(f"grant usage on schema public to {role}")
        await connection.execute(_CREATE_TABLE)
        await connection.execute("grant select on public.wallet_migrations to public")
        missing = await _missing(connection, wanted)
        for migration in missing:
            await _apply(connection, migration)
    finally:
        await connection.close()
    return [str(migration) for migration in missing]


async def require_migrated(
    connection: "asyncpg.Connection[asyncpg.Record]", wanted: list[Migration]
) -> None:
    """Raise MigrationMissing unless the database is at this version, or newer; any role may ask."""
    exists = await connection.fetchval("select to_regclass('public.wallet_migrations') is not null")
    applied = await _applied(connection) if exists else {}
    for migration in wanted:
        if (migration.line, migration.number) not in applied:
            message = f"the database lacks {migration}: run `wallet migrate`"
            raise MigrationMissing(message)


def load_migrations() -> list[Migration]:
    """Read the files of all lines, in the order they run."""
    return [
        migration for line in LINES for migration in load_line(files(line) / "migrations", line)
    ]


def load_line(folder: Traversable, line: str) -> list[Migration]:
    """Read one line's folder; a line that has none yet is empty."""
    migrations: dict[int, Migration] = {}
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name) if folder.is_dir() else []
    for entry in entries:
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            message = f"{line}/migrations/{entry.name}: name it NNN_what_it_does.sql"
            raise MigrationError(message)
        number = int(match[1])
        if number in migrations:
            message = f"{line}: {entry.name} and {migrations[number].name} have the same number"
            raise MigrationError(message)
        migrations[number] = Migration(
            line=line, number=number, name=entry.name, sql=entry.read_text("utf-8")
        )
    return list(migrations.values())


async def _applied(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> dict[tuple[str, int], tuple[str, str]]:
    """Return name and checksum of what the database remembers."""
    rows = await connection.fetch(
        "select line, number, name, checksum from public.wallet_migrations"
    )
    return {(row["line"], row["number"]): (row["name"], row["checksum"]) for row in rows}


async def _missing(
    connection: "asyncpg.Connection[asyncpg.Record]", wanted: list[Migration]
) -> list[Migration]:
    """Compare the files with what the database remembers."""
    applied = await _applied(connection)
    known = {(migration.line, migration.number) for migration in wanted}
    for (line, number), (name, _) in sorted(applied.items()):
        if (line, number) not in known:
            message = f"the database has {line}/migrations/{name}: it is newer than this code"
            raise MigrationError(message)
    missing: list[Migration] = []
    for migration in wanted:
        seen = applied.get((migration.line, migration.number))
        if seen is None:
            missing.append(migration)
        elif seen[1] != migration.checksum:
            message = f"{migration} was changed after it was applied; undo that and write a new one"
            raise MigrationError(message)
    return missing


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    """Run one file and remember it, or neither."""
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                _REMEMBER,
                migration.line,
                migration.number,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        message = f"{migration} failed and was undone: {error}{_place(migration, error)}"
        raise MigrationError(message) from error


def _place(migration: Migration, error: asyncpg.PostgresError) -> str:
    """Name the line that Postgres complains about, where it says one."""
    position: str | None = getattr(error, "position", None)
    return f" (line {migration.sql[: int(position)].count(chr(10)) + 1})" if position else ""
