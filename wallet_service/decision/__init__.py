"""The decision: which operations are approved, who pays, and what is written.

Pure: the place to read and fuzz. The committer locks and reads (``state``), ``decide`` judges
``commands`` in order, and the committer writes the ``outcomes``. ``burn`` says who pays,
``pricing`` what it costs, ``holds``, ``usage``, ``wallets``, ``wallet_transactions`` and ``grants``
what each command means; ``case`` is one operation being judged.
"""

from .commands import Asset, Command, Operation
from .judge import decide
from .outcomes import Done, Effect, Outcome, Refused, Replayed, Waits
from .state import CustomerKey, CustomerState, LockedState

__all__ = [
    "Asset",
    "Command",
    "CustomerKey",
    "CustomerState",
    "Done",
    "Effect",
    "LockedState",
    "Operation",
    "Outcome",
    "Refused",
    "Replayed",
    "Waits",
    "decide",
]
