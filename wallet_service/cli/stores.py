"""What a command says where a store is not there, refuses, or was not prepared: one line.

Whoever runs a command sees what to do next, never a traceback; a bug of ours still shows one.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import click

_GUIDE: Final = "docs/how-to/run-with-own-postgres-and-valkey.md"


@contextmanager
def explained() -> Generator[None]:
    """Turn what stores say into a line on stderr and exit code 1."""
    try:
        yield
    except click.ClickException:
        raise
    except Exception as error:
        line = _line(error)
        if line is None:
            raise
        raise click.ClickException(" ".join(line.split())) from None


def _line(error: Exception) -> str | None:
    """The line, or None where it is no store's fault."""
    from ledger.errors import LedgerError
    from wallet_service.database import UnsafeDatabase
    from wallet_service.migrate import MigrationError

    if isinstance(error, MigrationError | UnsafeDatabase):
        return str(error)
    if isinstance(error, LedgerError):
        return f"the ledger cannot be read: {error}"
    return _of_postgres(error)


def _of_postgres(error: Exception) -> str | None:
    """Of several lines that fit, the first says most."""
    import asyncpg

    lines: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
        (OSError, "Postgres cannot be reached: {error}"),  # TimeoutError is one
        (
            asyncpg.InvalidAuthorizationSpecificationError,
            "Postgres refuses the login: {error}",
        ),
        (
            asyncpg.InsufficientPrivilegeError,
            "Postgres refuses: {error}; what the login must be allowed is in {guide}",
        ),
        (
            asyncpg.InvalidParameterValueError,  # of a connection: the role that it starts in
            "the database's roles are missing: {error}; run `wallet migrate`",
        ),
        (
            (
                asyncpg.UndefinedTableError,
                asyncpg.UndefinedColumnError,
                asyncpg.UndefinedFunctionError,
                asyncpg.InvalidSchemaNameError,
            ),
            "the database is not at this version: {error}; run `wallet migrate`",
        ),
        (asyncpg.exceptions.ClientConfigurationError, "WALLET_DATABASE_URL: {error}"),
        ((asyncpg.PostgresError, asyncpg.InterfaceError), "Postgres says: {error}"),
    )
    for kinds, line in lines:
        if isinstance(error, kinds):
            return line.format(error=str(error) or "no answer in time", guide=_GUIDE)
    return None
