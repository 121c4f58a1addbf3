"""What the running totals of a subscription begin with that took the place of another: units stay.

Written in the transaction that starts it, as of an age before all periods, so its first event finds
it as the period before. What comes late for its predecessors is left to the true-up.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from invoicing.errors import NotAllowed
from invoicing.passed_units import passed_lines, predecessors
from invoicing.records import Connection, load_queries
from invoicing.subscriptions import Subscription
from invoicing.usage import EVENTS_MAX
from invoicing.usage_events import UsageLine
from invoicing.usage_versions import Versions, in_force
from rating.aggregations import Aggregation
from rating.exact import ONE, ZERO
from rating.steps import steps_of
from rating.totals import Total
from wallet_service.decision.pricing import group_id
from wallet_service.decision.state import NIL

__all__ = ["pass_on"]

log: Final = structlog.get_logger("wallet_service.subscriptions")

_queries: Final[Any] = load_queries(__file__)

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder().encode


async def pass_on(
    connection: Connection, subscription: Subscription, versions: Versions | None = None
) -> None:
    """Let running totals go on where those before a change of plan have ended; may be repeated.

    Where that fails, the change of plan stands all the same: the true-up knows the totals.
    """
    if subscription.previous_subscription_id is None or subscription.started_at is None:
        return
    try:
        async with connection.transaction():
            await _begin(connection, subscription, versions or Versions())
    except NotAllowed as error:  # too many events
        log.warning("totals_not_passed_on", subscription=str(subscription.id), reason=error.code)
    except Exception:  # whatever is wrong with one holds up nobody
        log.exception("totals_not_passed_on", subscription=str(subscription.id))


async def _begin(connection: Connection, subscription: Subscription, versions: Versions) -> None:
    organization_id, started_at = subscription.organization_id, subscription.started_at
    assert started_at is not None, "it has begun"
    before = await predecessors(connection, [(organization_id, subscription.id)])
    names = await versions.names(connection, organization_id, subscription.plan_id)
    version_id = in_force(names, started_at).id
    version = (await versions.load(connection, organization_id, [version_id]))[version_id]
    passed = await passed_lines(
        connection,
        versions,
        organization_id,
        before.get(subscription.id, []),
        version,
        before=started_at,
        events_max=EVENTS_MAX,
    )
    rows: list[tuple[UUID, UUID, UUID, bytes]] = []
    for key, lines in passed.items():
        bucket = version.card.bucket(key.charge_id, key.filter_id)
        assert bucket is not None, "it has priced the events"
        if bucket.timing != "running":
            continue
        place = key.charge_id, key.filter_id or NIL
        for member, total in _totals(bucket.aggregation, lines):
            rows.append((*place, group_id(key.group, member), _encode(total)))
    if rows:
        charge_ids, filter_ids, group_ids, totals = zip(*rows, strict=True)
        await _queries.begin_totals(
            connection,
            organization_id=organization_id,
            subscription_id=subscription.id,
            period_start=_BEGINNING,
            charge_ids=list(charge_ids),
            filter_ids=list(filter_ids),
            group_ids=list(group_ids),
            totals=list(totals),
        )


def _totals(
    aggregation: Aggregation, lines: Sequence[UsageLine]
) -> Iterable[tuple[str | None, Total]]:
    """The total of a price and group, and, of a unique count, one for each member."""
    units, _ = steps_of(aggregation, [line.event for line in lines], ())
    yield None, Total(units=units)
    if aggregation == "unique_count_agg":
        last = {line.event.member: line.event.removes for line in lines}
        for member, is_gone in last.items():
            yield member or "", Total(units=ZERO if is_gone else ONE, events=1)
