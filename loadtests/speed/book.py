"""Does the ledger say what the answers said? Read through the API, for every engine alike.

Every hold and every debit of an organization credits its revenue account, so two looks at that one
account tell what moved in between. Whoever drives counts the answers; wrk drops what is under way
at its end, so up to one request per connection may have moved money without a counted answer.
"""

from decimal import Decimal
from typing import Any

import httpx
from msgspec import Struct

from loadtests.speed.measured import Measured
from loadtests.speed.seed import Market
from loadtests.speed.shapes import BASE, Shape, customer_name
from loadtests.speed.stack import Place


class Moved(Struct, frozen=True):
    """What one request moves, or what many did, in USD."""

    held: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)


NOTHING = Moved()


class Book:
    """An organization's ledger, and a way to ask the service single questions."""

    def __init__(self, place: Place, market: Market) -> None:
        self._revenue = market.revenue_account
        self._client = httpx.Client(
            base_url=f"http://{place.host}:{place.port}",
            headers={"Authorization": f"Bearer {market.api_key}"},
            timeout=60,
        )
        self._asked = 0

    def read(self) -> Moved:
        """All that was ever held and is still, and all that was ever charged."""
        answer = self._client.get(f"{BASE}/ledger/accounts/{self._revenue}")
        if answer.status_code == 404:  # nothing was ever used
            return NOTHING
        sums = answer.raise_for_status().json()["account"]["balances"]
        return Moved(Decimal(sums["credits_pending"]), Decimal(sums["credits_posted"]))

    def ask(self, shape: Shape, id_: str = "") -> Any:
        """Send one request of a shape; raises SystemExit unless it is answered 200."""
        self._asked += 1
        filled = [
            text.replace("{customer}", customer_name(0)).replace("{id}", id_)
            for text in (shape.path, shape.body)
        ]
        for number in range(filled[1].count("{key}")):
            filled[1] = filled[1].replace("{key}", f"probe-{id(self)}-{self._asked}-{number}", 1)
        headers = {"Content-Type": "application/json"} if filled[1] else {}
        answer = self._client.request(
            shape.method, filled[0], content=filled[1].encode(), headers=headers
        )
        if answer.status_code != 200:
            raise SystemExit(f"{shape.path}: {answer.status_code} {answer.text}")
        return answer.json()

    def unit(self, shape: Shape) -> Moved:
        """What one request (or pair) of a shape moves, seen in the ledger and in the answer."""
        before = self.read()
        answer = self.ask(shape)
        between = difference(before, self.read())
        if not shape.then:
            if between.held:
                told = Decimal(answer["authorization"]["amount"])
                assert told == between.held, f"told {told}, held {between.held}"
            return between
        self.ask(shape.then, answer["authorization"]["id"])
        return Moved(between.held, difference(before, self.read()).charged)


def difference(before: Moved, after: Moved) -> Moved:
    return Moved(after.held - before.held, after.charged - before.charged)


def mismatch(moved: Moved, unit: Moved, seen: Measured, *, connections: int) -> Decimal:
    """Money in the ledger that no answer accounts for, or the other way round.

    `unit` is what one request moves; of a pair, what its first holds and its second charges
    (which lets go of the hold).
    """
    # Whoever got no answer, or was told that nobody knows yet, may have been served all the same.
    unseen = seen.errors + (0 if seen.is_drained else connections)
    if not unit.held:  # events, or nothing at all
        return _beyond(moved.charged - unit.charged * seen.done, unit.charged, unseen) + abs(
            moved.held
        )
    if not unit.charged:
        return _beyond(moved.held - unit.held * seen.done, unit.held, unseen) + abs(moved.charged)
    more = moved.charged - unit.charged * seen.captured
    wrong = _beyond(more, unit.charged, unseen)
    if wrong:
        return wrong
    captured = seen.captured + int(more / unit.charged)
    still_held = moved.held - unit.held * (seen.done - captured)
    return _beyond(still_held, unit.held, unseen - int(more / unit.charged))


def _beyond(more: Decimal, each: Decimal, times: int) -> Decimal:
    """How far `more` is from being 0 to `times` whole requests."""
    if more == 0 or (each and more % each == 0 and 0 < more <= each * times):
        return Decimal(0)
    return abs(more) if more < 0 or not each else max(more - each * times, more % each)
