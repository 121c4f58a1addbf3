"""What it means when a store fails: run again, or it is not there."""

from typing import Final

import asyncpg

from ledger.errors import LedgerConflict, LedgerUnavailable

__all__ = ["CONFLICTS", "UNAVAILABLE"]

CONFLICTS: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    LedgerConflict,
)
"""Another transaction was in the way: the same may succeed when it runs again."""

UNAVAILABLE: Final = (
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    LedgerUnavailable,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)
"""No answer. During a commit nobody knows whether it landed."""
