"""The events of a period that prices take one by one, because sums cannot tell what they cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from invoicing import usage_events
from invoicing.errors import NotAllowed
from invoicing.records import Connection
from invoicing.usage_events import UsageLine
from invoicing.usage_pricing import Bucket
from invoicing.usage_rollups import BEGINNING, UsageKey
from rating.exact import EXACT, ZERO

if TYPE_CHECKING:
    from invoicing.usage import Question

__all__ = ["lines_of"]


async def lines_of(
    connection: Connection, question: "Question", buckets: Sequence[Bucket]
) -> dict[UsageKey, list[UsageLine]]:
    """The events that prices take which sums cannot tell. Raises NotAllowed: they are too many."""
    codes: dict[UUID, set[str]] = {}
    for bucket in buckets:
        codes.setdefault(bucket.key.charge_id, set()).update(bucket.codes)
    whole: list[Bucket] = []
    begun: dict[UUID, list[Bucket]] = {}
    for bucket in buckets:
        charge_id, way = bucket.key.charge_id, bucket.way
        # The events of one code are found in their order; of a metric that was renamed all are.
        if way == "begun" and len(codes[charge_id]) == 1:
            begun.setdefault(charge_id, []).append(bucket)
        elif way in {"begun", "events"}:
            whole.append(bucket)
    found = await _all_lines(connection, question, whole)
    for charge_id, some in begun.items():
        (code,) = codes[charge_id]
        found |= await _first_lines(connection, question, some, charge_id=charge_id, code=code)
    return found


async def _all_lines(
    connection: Connection, question: "Question", buckets: Sequence[Bucket]
) -> dict[UsageKey, list[UsageLine]]:
    """All events of some prices, in their order. Raises NotAllowed if they are too many."""
    found: dict[UsageKey, list[UsageLine]] = {bucket.key: [] for bucket in buckets}
    if sum(bucket.events for bucket in buckets) > question.events_max:
        raise NotAllowed("too_many_events")
    for recurring in (False, True):
        some = [bucket for bucket in buckets if bucket.terms.recurring is recurring]
        if not some:
            continue
        portions = usage_events.lines(
            connection,
            question.organization_id,
            question.subscription_id,
            start=BEGINNING if recurring else question.bounds.start,
            end=question.bounds.end,
            codes={code for bucket in some for code in bucket.codes},
            charge_ids={bucket.key.charge_id for bucket in some},
        )
        async for portion in portions:
            for line in portion:
                if line.key in found:
                    found[line.key].append(line)
    for some_lines in found.values():
        some_lines.sort(key=lambda line: (line.event.timestamp, line.event.order))
    return found


async def _first_lines(
    connection: Connection,
    question: "Question",
    buckets: Sequence[Bucket],
    *,
    charge_id: UUID,
    code: str,
) -> dict[UsageKey, list[UsageLine]]:
    """The events with which a period began, in their order, as many as one charge's price looks at.

    Raises NotAllowed if that takes too many.
    """
    found: dict[UsageKey, list[UsageLine]] = {bucket.key: [] for bucket in buckets}
    waiting = {bucket.key: (bucket, ZERO) for bucket in buckets}
    portions = usage_events.lines_in_order(
        connection,
        question.organization_id,
        question.subscription_id,
        start=question.bounds.start,
        end=question.bounds.end,
        code=code,
        charge_id=charge_id,
    )
    read = 0
    async for portion in portions:
        for line in portion:
            if line.key in waiting:
                found[line.key].append(line)
                bucket, units = waiting.pop(line.key)
                units = EXACT.add(units, line.event.units)
                if not bucket.is_begun(events=len(found[line.key]), units=units):
                    waiting[line.key] = bucket, units
        read += len(portion)
        if not waiting:
            break
        if read > question.events_max:
            raise NotAllowed("too_many_events")
    return found
