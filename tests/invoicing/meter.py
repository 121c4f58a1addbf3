"""A subscription whose usage is stored, folded and read by the test's own words."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import structs

from invoicing import events, usage_rollups
from invoicing.events import Event
from invoicing.usage_rollups import Fold, StoredUsage, Stretch, UsageKey
from ledger.ids import new_uuid
from loadtests.recomputed_usage import recompute
from tests.conftest import Clock
from wallet_service.database import Database

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
CHARGE, SEATS, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
FILTER = UUID(int=10)
VERSION, NEXT_VERSION = UUID(int=20), UUID(int=21)


class Meter:
    """A subscription whose usage is stored, folded and read."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.organization_id = new_uuid(clock.now)
        self.subscription_id = new_uuid(clock.now)

    def event(self, at: datetime = MARCH, *, status: str = "rated", **fields: Any) -> Event:
        """One event with one line."""
        self.clock.advance(0.001)
        line: dict[str, Any] = {"charge_id": str(CHARGE), "filter_id": None, "units": "1"}
        line |= {"exact": "0", "amount_minor": 0} | fields.pop("line", {})
        known = {
            "code": "tokens",
            "subscription_id": self.subscription_id,
            "plan_version_id": VERSION,
        }
        return Event(
            organization_id=self.organization_id,
            id=new_uuid(self.clock.now),
            transaction_id=str(new_uuid(self.clock.now)),
            operation_id=new_uuid(self.clock.now),
            asset_code="USD",
            timestamp=at,
            rating_status=status,
            lines=json.dumps([line]),
            created_at=self.clock.now,
            **known | fields,
        )

    def reversal(self, event: Event) -> Event:
        """What takes an event back, as the decision writes it."""
        self.clock.advance(1)
        line = json.loads(event.lines)[0]
        line |= {
            name: str(-Decimal(line[name])) if isinstance(line[name], str) else -line[name]
            for name in ("units", "exact", "amount_minor")
        }
        if line.get("precise_amount_cents"):
            line["precise_amount_cents"] = str(-Decimal(line["precise_amount_cents"]))
        return structs.replace(
            event,
            id=new_uuid(self.clock.now),
            transaction_id=str(new_uuid(self.clock.now)),
            timestamp=event.timestamp + timedelta(days=2),
            lines=json.dumps([line]),
            reverses_event_id=event.id,
        )

    async def store(self, *given: Event) -> None:
        async with self.database.committer.acquire() as connection, connection.transaction():
            await events.insert_many(connection, given)

    async def rate_late(self, *given: Event) -> None:
        async with self.database.committer.acquire() as connection, connection.transaction():
            await events.rate_late(connection, given)

    async def fold(self, events_max: int = 1000) -> Fold:
        async with self.database.worker.acquire() as connection, connection.transaction():
            return await usage_rollups.fold(connection, events_max=events_max)

    async def fold_all(self, events_max: int = 1000) -> int:
        lines, has_more = 0, True
        while has_more:
            done = await self.fold(events_max)
            lines, has_more = lines + done.lines, done.has_more
        return lines

    async def read(
        self, start: datetime = MARCH, end: datetime = APRIL, **terms: Any
    ) -> dict[UsageKey, StoredUsage]:
        async with self.database.tenant(self.organization_id) as connection:
            found = await usage_rollups.read(
                connection,
                self.organization_id,
                self.subscription_id,
                start=start,
                end=end,
                **terms,
            )
            if not terms:
                asked = Stretch(
                    organization_id=self.organization_id,
                    subscription_id=self.subscription_id,
                    start=start,
                    end=end,
                )
                before = structs.replace(asked, start=start - timedelta(days=9), end=start)
                _, among_others, _ = await usage_rollups.read_all(
                    connection, [before, asked, before]
                )
                assert among_others == found
            return found

    async def recompute(
        self, start: datetime = MARCH, end: datetime = APRIL
    ) -> dict[UsageKey, StoredUsage]:
        async with self.database.tenant(self.organization_id) as connection:
            return await recompute(
                connection, self.organization_id, self.subscription_id, start=start, end=end
            )

    async def lag_s(self) -> float:
        async with self.database.worker.acquire() as connection:
            return (await usage_rollups.measure_lag(connection)).total_seconds()
