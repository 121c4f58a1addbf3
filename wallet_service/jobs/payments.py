"""Payments and credit notes whose process died between two steps."""

from datetime import UTC, datetime

from wallet_service.jobs.leader import Term
from wallet_service.services import Services

__all__ = ["finish_credit_notes", "finish_payments"]


async def finish_payments(services: Services, term: Term) -> int:
    """Book and count payments that were taken down and left; says how many."""
    term.check()
    return await services.payments.finish_due(now=datetime.now(UTC))


async def finish_credit_notes(services: Services, term: Term) -> int:
    """Take the step that a credit note was left at; says of how many."""
    term.check()
    return await services.credit_notes.finish_due(now=datetime.now(UTC))
