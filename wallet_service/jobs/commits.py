"""How a job asks for operations: through the committer, under keys that say why.

The key names the thing and the state in which it was found, so a second worker, or the same one
after a crash, asks for the same operation and gets its first reply.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from wallet_service.decision import Command, Operation
from wallet_service.errors import NotAllowed, NotFound, Unavailable, WalletError
from wallet_service.operations import operation
from wallet_service.services import Services

__all__ = ["commit", "job_operation"]

log: Final = structlog.get_logger("wallet_service.worker")


def job_operation(
    organization_id: UUID, kind: str, key: str, command: Command, *, customer_id: UUID
) -> Operation:
    """An operation of the worker."""
    return operation(
        organization_id,
        kind,
        key,
        command,
        customer_id=customer_id,
        body=command,
        now=datetime.now(UTC),
    )


async def commit(services: Services, operations: Sequence[Operation]) -> int:
    """Commit them, each on its own account; says how many were done.

    Whatever failed is tried by the next run.
    """
    done = 0
    outcomes = await services.committer.submit_all(operations)
    for asked, outcome in zip(operations, outcomes, strict=True):
        match outcome:
            case bytes():
                done += 1
            case NotAllowed() | NotFound():
                # It was extended, captured or emptied meanwhile: nothing to do.
                log.debug("job_operation_needless", kind=asked.kind, reason=outcome.code)
            case Unavailable():
                log.info("job_operation_waits", kind=asked.kind, reason=outcome.code)
            case WalletError():
                log.warning("job_operation_refused", kind=asked.kind, reason=outcome.code)
            case Exception():
                log.error("job_operation_failed", kind=asked.kind, key=asked.key, exc_info=outcome)
    return done
